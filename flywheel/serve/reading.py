"""What both model servers do alike: check that prompts fit, and read a model's tokens back."""

import math
from collections.abc import Sequence
from typing import Any

from flywheel.errors import DataError
from flywheel.ports.model_server import Answer
from flywheel.serve.margin import (
    Step,
    field_of_each_token,
    least_field_margin,
    margin_of,
    mean_margin,
)
from flywheel.workload.answers import AnswerCodec

__all__ = ["check_fit", "read_answer"]


def check_fit(ids: Sequence[Sequence[int]], *, positions: int, answer_tokens: int) -> None:
    """Raise DataError at the first prompt that leaves no room for the answer."""
    room = positions - answer_tokens
    for index, row in enumerate(ids):
        if not 0 < len(row) <= room:
            raise DataError(
                f"Input {index} needs {len(row)} prompt tokens; the base model has a context "
                f"of {positions} tokens, of which {answer_tokens} are kept for the answer.",
                next_step="shorten the input or lower limits.answer_tokens",
                index=index,
                tokens=len(row),
                limit=room,
            )


def read_answer(
    tokenizer: Any,
    codec: AnswerCodec,
    tokens: Sequence[int],
    *,
    complete: bool,
    steps: Sequence[Step],
    seconds: float,
    prompt_tokens: int,
) -> Answer:
    """Decode the tokens of one answer, without the end token, and check what they say.

    Args:
        tokenizer: of the base model.
        codec: knows labels and schema.
        tokens: what the model wrote.
        complete: whether the end token followed; it was cut off otherwise.
        steps: log-probabilities of each token and of the end token, under the mask.
        seconds: the answer's share of the time that its batch took.
        prompt_tokens: length of its prompt.
    """
    text = tokenizer.decode(tokens, skip_special_tokens=True)
    output, error = None, None
    if complete:
        try:
            output = codec.decode(text)
        except DataError as broken:
            error = broken.message
    else:
        error = f"The answer was cut off after {len(tokens)} tokens."
    return Answer(
        text=text,
        output=output,
        confidence=_confidence(codec, steps),
        seconds=seconds,
        prompt_tokens=prompt_tokens,
        completion_tokens=len(tokens) + complete,
        error=error,
        margin=_margin(tokenizer, codec, tokens, steps),
    )


def _confidence(codec: AnswerCodec, steps: Sequence[Step]) -> float:
    # The probability of one text among all texts is next to nothing, and smaller the longer it is:
    # of a text it is the geometric mean of its tokens' probabilities.
    total = math.fsum(step.chosen for step in steps)
    if codec.pattern is not None:
        total /= max(1, len(steps))
    return min(1.0, math.exp(total))


def _margin(
    tokenizer: Any, codec: AnswerCodec, tokens: Sequence[int], steps: Sequence[Step]
) -> float:
    if codec.pattern is not None:
        return mean_margin(steps)
    if codec.workload.form.fields is None:
        return margin_of(steps)
    fields = field_of_each_token(
        tokens, lambda part: str(tokenizer.decode(part, skip_special_tokens=True))
    )
    fields += fields[-1:] * (len(steps) - len(tokens))  # the end token ends the last field
    return least_field_margin(steps[: len(fields)], fields)

"""The one renderer of prompts, for training rows, the local server and vLLM alike.

A prompt is plain text: no chat template is applied. Prompt and completion are tokenised apart, so
that a model is trained on exactly the ids that it later sees and is asked to continue. Only the
workload's own template and answers may hold control and label tokens; inputs stay text.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from flywheel.errors import ConfigurationError
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.model import Workload
from flywheel.workload.passage import Passage, join_passages, owned, quoted
from flywheel.workload.tokenization import encode_passages

__all__ = ["Example", "completion_ids", "parse_prompt", "prompt_ids", "render_prompt"]


class Example(Protocol):
    """A worked example: an input and its parsed answer."""

    @property
    def input(self) -> str:
        """Text that was asked about."""
        ...

    @property
    def output(self) -> Any:
        """Parsed answer."""
        ...


def render_prompt(
    workload: Workload,
    input: str,  # noqa: A002 - the word of the contract
    shots: Sequence[Example] = (),
    codec: AnswerCodec | None = None,
) -> Passage:
    """Fill the workload's prompt with ``input``, worked examples before it.

    The text is put in literally: braces in it mean nothing. ``codec`` writes the answers of
    ``shots`` as the base model is to write them, and is needed with shots only.
    """
    before, after = workload.prompt.split("{input}")
    if shots and codec is None:
        raise ConfigurationError(
            "Shots cannot be rendered without the base model's codec.",
            next_step="pass codec=AnswerCodec(workload, surfaces)",
        )
    parts = [
        part
        for shot in shots
        if codec
        for part in (
            owned(before),
            quoted(shot.input),
            owned(after),
            codec.passage(shot.output),
            owned("\n"),
        )
    ]
    return join_passages([*parts, owned(before), quoted(input), owned(after)])


def parse_prompt(workload: Workload, prompt: str) -> Passage:
    """Find the input in a prompt that was rendered without shots and stored as a string.

    A prompt of another template is taken as text throughout: no control token comes out of it.
    """
    before, after = workload.prompt.split("{input}")
    end = len(prompt) - len(after)
    if not (prompt.startswith(before) and prompt.endswith(after) and len(before) <= end):
        return quoted(prompt)
    return render_prompt(workload, prompt[len(before) : end])


def prompt_ids(tokenizer: Any, prompts: Sequence[Passage]) -> list[list[int]]:
    """Tokenize prompts, with the start token where the base model has one."""
    return encode_passages(tokenizer, prompts, framed=True)


def completion_ids(tokenizer: Any, answers: Sequence[Passage]) -> list[list[int]]:
    """Tokenize answers apart from their prompts, the end token added."""
    rows = encode_passages(tokenizer, answers, framed=False)
    return [[*row, tokenizer.eos_token_id] for row in rows]

"""The margin of an answer: its probability less that of the runner-up, from the decoder's steps."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

__all__ = ["Step", "field_of_each_token", "least_field_margin", "margin_of", "mean_margin"]


class Step(NamedTuple):
    """Log-probabilities under the mask of the token that was chosen and of the best other token.

    ``runner_up`` is minus infinity where the mask allowed one token only.
    """

    chosen: float
    runner_up: float


def margin_of(steps: Sequence[Step]) -> float:
    """Return the probability of an answer less that of the runner-up, in [0, 1].

    The best answer that differs first at some step is at most as probable as the tokens before that
    step and the step's second best token: the runner-up is taken at that bound. It is exact where
    one step decides, as on a base with a token per label. 0: another answer may be as probable.
    """
    before, runner_up = 0.0, -math.inf
    for step in steps:
        runner_up = max(runner_up, before + step.runner_up)
        before += step.chosen
    return min(1.0, max(0.0, math.exp(before) - math.exp(runner_up)))


def least_field_margin(steps: Sequence[Step], fields: Sequence[int]) -> float:
    """Return the margin of the least sure field, each field given those before it.

    Args:
        steps: of the whole answer.
        fields: number of the field that each step belongs to, never falling.
    """
    numbered = zip(fields, steps, strict=True)
    grouped = groupby(numbered, key=lambda pair: pair[0])
    return min((margin_of([step for _, step in group]) for _, group in grouped), default=1.0)


def mean_margin(steps: Sequence[Step]) -> float:
    """Return the mean, over the steps of a text, of the token's probability less the next best's."""
    margins = [math.exp(step.chosen) - math.exp(step.runner_up) for step in steps]
    return min(1.0, max(0.0, math.fsum(margins) / len(margins))) if margins else 0.0


def field_of_each_token(tokens: Sequence[int], decode: Callable[[Sequence[int]], str]) -> list[int]:
    """Return for each token of a JSON object the number of the top-level field it begins in.

    Args:
        tokens: of the answer, which may have been cut off.
        decode: reads tokens as text.
    """
    numbers = list(_field_of_each_character(decode(tokens)))
    last = numbers[-1] if numbers else 0
    # A token that ends inside a character decodes to a placeholder: off by a character at most.
    starts = (len(decode(tokens[:count])) for count in range(len(tokens)))
    return [numbers[start] if start < len(numbers) else last for start in starts]


def _field_of_each_character(text: str) -> Iterator[int]:
    field, depth, in_string, escaped = 0, 0, False, False
    for character in text:
        if in_string:
            in_string = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string = True
        elif character in "{[":
            depth += 1
        elif character in "}]":
            depth -= 1
        elif character == "," and depth == 1:
            field += 1
        yield field

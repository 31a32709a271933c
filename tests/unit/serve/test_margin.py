"""Margins by arithmetic: labels of several tokens, fields of an object, choices of vLLM."""

import math

import pytest

from flywheel.errors import MeasurementError
from flywheel.serve.margin import (
    Step,
    field_chances,
    field_of_each_token,
    least_field_margin,
    margin_of,
)
from flywheel.serve.vllm_steps import read_steps


def step(chosen: float, other: float = 0.0) -> Step:
    return Step(math.log(chosen), math.log(other) if other else -math.inf)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], 1.0),
        ([step(1.0)], 1.0),
        ([step(0.6, 0.3)], 0.3),
        ([step(1.0), step(0.6, 0.3), step(1.0)], 0.3),
        ([step(0.9, 0.05), step(0.8, 0.2)], 0.9 * 0.8 - 0.9 * 0.2),
        ([step(0.6, 0.4), step(0.5, 0.45)], 0.0),  # the other branch may be more probable
    ],
)
def test_margin_of_steps(steps, expected):
    """The runner-up is the best answer that leaves the path at some step, at its bound."""
    assert margin_of(steps) == pytest.approx(expected)


def test_the_least_sure_field_counts():
    """Fields are looked at one by one: a sure first field does not hide an unsure second."""
    steps = [step(1.0), step(0.99, 0.01), step(1.0), step(0.55, 0.45), step(1.0)]
    assert least_field_margin(steps, [0, 0, 1, 1, 1]) == pytest.approx(0.1)
    assert least_field_margin(steps[:2], [0, 0]) == pytest.approx(0.98)
    assert field_chances(steps, [0, 0, 1, 1, 1]) == pytest.approx([0.99, 0.55])
    assert field_chances([], []) == []


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (['{"part":"', "seal", '","', 'urgency":"', "low", '"}'], [0, 0, 0, 1, 1, 1]),
        (['{"a":{"x":1', ',"y":2}', ',"b', '":3}'], [0, 0, 1, 1]),
        (['{"a":[1', ",2]", ',"b":"x,', 'y"', "}"], [0, 0, 1, 1, 1]),
        (['{"a":"say \\"', ",", 'so"', ',"b"', ":1}"], [0, 0, 0, 1, 1]),
        (['{"a":"cut of'], [0]),
        ([], []),
    ],
)
def test_tokens_belong_to_top_level_fields(pieces, expected):
    """Commas in strings, lists and nested objects begin no field."""
    fields = field_of_each_token(
        list(range(len(pieces))), lambda part: "".join(pieces[number] for number in part)
    )
    assert fields == expected


def choice(**changes):
    """Return a choice of vLLM: one free token and a forced one."""
    return {
        "token_ids": [7, 2],
        "logprobs": {
            "token_logprobs": [-0.5, 0.0],
            "top_logprobs": [
                {"token_id:7": -0.5, "token_id:9": -1.2},
                {"token_id:2": 0.0, "token_id:0": -9999.0},
            ],
        }
        | changes,
    }


def test_steps_of_vllm():
    """The chosen token is not its own runner-up, and a masked token is none."""
    assert read_steps(choice()) == [Step(-0.5, -1.2), Step(0.0, -math.inf)]


@pytest.mark.parametrize(
    "changes",
    [
        {"token_logprobs": [-0.5]},
        {"token_logprobs": [-0.5, None]},
        {"token_logprobs": [-0.5, 3.0]},
        {"top_logprobs": [{"token_id:7": -0.5}]},
        {"top_logprobs": [{"token_id:7": -0.5}, None]},
    ],
)
def test_missing_log_probabilities_are_an_error(changes):
    """What vLLM did not measure is never a number."""
    with pytest.raises(MeasurementError, match="processed_logprobs"):
        read_steps(choice(**changes))

"""What one arm answered: right, wrong, invalid, or not measured."""

import pytest

from flywheel.errors import MeasurementError, UnavailableError
from flywheel.evaluate.shots import choose_shots
from flywheel.evaluate.suites import evaluate_arm, same_answer
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.model import parse_workload
from tests.fakes.model_server import FakeModelServer
from tests.fakes.release_world import make_workload, right, rows_for

WORKLOAD = make_workload("defects")
CODEC = AnswerCodec(WORKLOAD, {"scratch": "scratch", "dent": "dent", "stain": "stain"})
ROWS = rows_for(WORKLOAD, "golden", 150)


def run(server, rows=ROWS, codec=CODEC, **how):
    return evaluate_arm(server, codec, rows, suite="golden", arm="base", release="base", **how)


def test_every_row_becomes_a_case_in_order():
    """Answers are joined to their rows over batches, and progress is told."""
    told: list[tuple[int, int]] = []
    cases = run(
        FakeModelServer({"base": right}), on_progress=lambda done, total: told.append((done, total))
    )
    assert [case.inference_id for case in cases] == [row["inference_id"] for row in ROWS]
    assert all(case.correct and case.schema_valid for case in cases)
    assert told == [(64, 150), (128, 150), (150, 150)]


def test_wrong_and_invalid_answers_are_told_apart():
    """A valid wrong answer is wrong; one that breaks the schema is wrong and invalid."""
    server = FakeModelServer({"base": lambda text: None if text.endswith("dent") else "stain"})
    cases = run(server, ROWS[:3])
    assert [(case.correct, case.schema_valid) for case in cases] == [
        (False, True),
        (False, False),
        (True, True),
    ]
    assert [case.predicted_label for case in cases] == ["stain", None, "stain"]


def test_failing_server_is_no_wrong_answer():
    """A server that is away ends the measurement."""
    server = FakeModelServer({"base": lambda _: UnavailableError("away")})
    with pytest.raises(UnavailableError):
        run(server)


def test_missing_answers_are_an_error():
    """Fewer answers than questions cannot be joined."""
    with pytest.raises(MeasurementError, match="63 answers to 64"):
        run(FakeModelServer({"base": right}, drop=1))


@pytest.mark.parametrize("confidence", [1.2, -0.1, float("nan")])
def test_impossible_confidence_is_an_error(confidence):
    """What is no probability is not kept as one."""
    with pytest.raises(MeasurementError, match="confidence"):
        run(FakeModelServer({"base": right}, confidence=confidence))


def test_fields_of_an_extraction_are_judged_one_by_one():
    """A case is right when every field is; key order does not matter."""
    workload = parse_workload(
        {
            "id": "reports",
            "owner": "ann",
            "prompt": "{input}",
            "task": {
                "type": "extraction",
                "schema": {
                    "type": "object",
                    "properties": {"category": {}, "urgent": {"type": "boolean"}},
                },
                "label_field": "category",
            },
            "taxonomy": {"labels": [{"id": "a", "name": "A"}, {"id": "b", "name": "B"}]},
        },
        source="test",
    )
    row = {"inference_id": "i", "input": "x", "output": {"category": "A", "urgent": True}}
    codec = AnswerCodec(workload, {"a": "A", "b": "B"})
    whole = FakeModelServer({"base": lambda _: {"urgent": True, "category": "A"}})
    half = FakeModelServer({"base": lambda _: {"category": "A", "urgent": False}})
    assert run(whole, [row], codec)[0].correct
    case = run(half, [row], codec)[0]
    assert (case.correct, case.label, case.predicted_label) == (False, "A", "A")
    assert case.fields_correct == {"category": True, "urgent": False}


def test_answers_are_compared_as_json_values():
    """1 is 1.0 and not true; lists keep their order."""
    assert same_answer({"a": 1, "b": [1.0]}, {"b": [1], "a": 1.0})
    assert not same_answer(1, True)
    assert not same_answer([1, 2], [2, 1])


def test_worked_examples_are_the_same_for_a_seed_and_differ_in_label():
    """Order of the rows does not matter, the seed does."""
    chosen = choose_shots(ROWS, count=3, seed=1)
    assert chosen == choose_shots(ROWS[::-1], count=3, seed=1)
    assert len({shot.output for shot in chosen}) == 3
    assert chosen != choose_shots(ROWS, count=3, seed=2)

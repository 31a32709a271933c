import json
from dataclasses import replace

import pytest

from flywheel.errors import DataError
from flywheel.events import EventContract, decode_feedback, decode_inferences, encode
from flywheel.simulation.client import client_feedback, inference_event


def _encoded(calls, answer, workload):
    return [
        encode(inference_event(c, answer, workload=workload, release="base", base_model="tiny"))
        for c in calls
    ]


def test_events_meet_the_contract(defect_reports, june_calls, wrong_answer):
    """Ingest takes every one of them."""
    values = _encoded(june_calls, wrong_answer, defect_reports)
    decoded = decode_inferences(values, EventContract([defect_reports]))
    assert len(decoded.events) == len(june_calls)
    assert json.loads(bytes(decoded.events[0].output)) == wrong_answer.output


def test_the_truth_is_in_no_event(defect_reports, june_calls, wrong_answer):
    """A marked truth leaves no trace in the bytes."""
    marked = [replace(c, truth={"category": "TRUTH", "urgency": "TRUTH"}) for c in june_calls]
    values = _encoded(marked, wrong_answer, defect_reports)
    assert values == _encoded(june_calls, wrong_answer, defect_reports)
    assert b"TRUTH" not in b"".join(values)


def test_clients_complain_about_wrong_answers_and_say_that_they_are_simulated(
    defect_reports, june_calls, wrong_answer
):
    """Feedback meets the contract, names its author as simulated and is mostly right."""
    answers = [wrong_answer.output] * len(june_calls)
    events = client_feedback(june_calls, answers, workload=defect_reports, seed=1, share=0.5)
    decoded = decode_feedback([encode(e) for e in events], EventContract([defect_reports]))
    assert not decoded.rejections
    assert 0.3 * len(june_calls) < len(events) < 0.6 * len(june_calls)
    assert all(e.author.startswith("simulated:") for e in events)
    by_id = {c.inference_id: c for c in june_calls}
    assert all(by_id[e.inference_id].timestamp < e.timestamp for e in events)


def test_feedback_does_not_depend_on_the_batches(defect_reports, june_calls, wrong_answer):
    """The same calls in two batches bring the same feedback."""
    answers = [wrong_answer.output] * len(june_calls)
    whole = client_feedback(june_calls, answers, workload=defect_reports, seed=1)
    parts = []
    for half in (june_calls[:100], june_calls[100:]):
        parts += client_feedback(half, answers[: len(half)], workload=defect_reports, seed=1)
    assert list(map(encode, parts)) == list(map(encode, whole))


def test_calls_without_answers_are_refused(defect_reports, june_calls):
    """A shifted pairing would complain about the wrong answers."""
    with pytest.raises(DataError, match="0 answers"):
        client_feedback(june_calls, [], workload=defect_reports, seed=1)

"""What clients send and ingest takes stops nothing behind it: batches are drawn, answered, merged."""

import json
import random
from datetime import timedelta

import pytest

from flywheel.events import (
    FEEDBACK_TOPIC,
    INFERENCES_TOPIC,
    EventContract,
    chat_request,
    encode,
    raw_json,
)
from flywheel.events.columns import AnswerTexts
from flywheel.ingest.arrow import arrange, table_of
from flywheel.ports.event_log import LogRecord, Partition
from flywheel.review.collect import collect
from flywheel.review.local_queue import LocalReviewQueue
from tests.fakes.event_makers import make_event, make_feedback
from tests.fakes.hostile_values import HOSTILE_TEXTS, odd_json, odd_text
from tests.fakes.review_world import (
    END,
    START,
    answer,
    classification,
    extraction,
    put_answers,
    put_feedback,
    sample_week,
    text,
    truth,
)

_KINDS = ("boolean", "float", "comment", "demonstration")


def land(lake, workload, topic, events):
    """Land events as ingest does, and return how many were refused."""
    partition = Partition(topic, f"id of {topic}", 0)
    records = [
        LogRecord(partition, number, b"key", value, END) for number, value in enumerate(events)
    ]
    batch = arrange(records, EventContract([workload]), AnswerTexts(), now=END)
    lake.append(table_of(topic), batch.rows)
    return len(batch.rejections)


def inference(number, workload, **changes):
    """Return the bytes of one answer in the first week."""
    values = {
        "timestamp": START + timedelta(minutes=number),
        "inference_id": f"i{number:05d}",
        "request": chat_request(workload, text(number), model="base"),
        "output": raw_json(truth(number)),
    }
    return encode(make_event(number, workload, **values | changes))


def feedback(number, workload, **changes):
    """Return the bytes of one piece of feedback, about one of the first thirty answers."""
    raw = json.loads(encode(make_feedback(number, workload, timestamp=START + timedelta(days=1))))
    raw |= {"inference_id": f"i{number % 30:05d}"} | changes
    return json.dumps(raw).encode()


def turn(lake, queue, workload):
    """Draw a batch, answer every item of it, merge; return the batch's report."""
    report = sample_week(lake, queue, workload, budget=60)
    for task in queue.open_tasks(workload.id, "ann@example.com"):
        output = truth(1) if workload.id == "defects" else {"category": truth(1), "urgency": "low"}
        queue.submit(workload, task.item_id, "ann@example.com", output)
    collect(lake, queue, workload, now=END + timedelta(hours=1))
    return report


@pytest.mark.parametrize("workload", [classification(), extraction()], ids=lambda w: w.id)
@pytest.mark.parametrize("seed", range(2))
def test_whatever_lands_can_be_reviewed(lake, clock, tmp_path, workload, seed):
    """Any JSON as answer or feedback is refused at the door, or is harmless for a whole turn."""
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    queue = LocalReviewQueue(tmp_path / "queue", clock)
    answers = [inference(number, workload) for number in range(30)]
    answers += [
        inference(
            number,
            workload,
            request=chat_request(workload, odd_text(rng) or "x", model="base"),
            output=raw_json(odd_json(rng)),
            client_id=odd_text(rng),
        )
        for number in range(30, 120)
    ]
    land(lake, workload, INFERENCES_TOPIC, answers)
    said = [
        feedback(number, workload, kind=kind, value=odd_json(rng))
        for number in range(60)
        for kind in _KINDS
    ]
    land(lake, workload, FEEDBACK_TOPIC, said)
    assert turn(lake, queue, workload).pushed > 10


def test_every_hostile_text_reaches_the_queue_letter_by_letter(lake, clock, tmp_path):
    """A text is stored as it came, or refused; what people are shown is what the client wrote."""
    workload = classification(review={"budget": 60, "overlap": 0.0, "gold": 0.0})
    queue = LocalReviewQueue(tmp_path / "queue", clock)
    land(
        lake,
        workload,
        INFERENCES_TOPIC,
        [
            inference(number, workload, request=chat_request(workload, hostile, model="base"))
            for number, hostile in enumerate(HOSTILE_TEXTS)
        ],
    )
    land(
        lake,
        workload,
        FEEDBACK_TOPIC,
        [
            feedback(number, workload, kind="boolean", value=False)
            for number in range(len(HOSTILE_TEXTS))
        ],
    )
    turn(lake, queue, workload)
    stored = {row["input"] for row in lake.rows("SELECT input FROM inferences")}
    asked = {row["input"] for row in lake.rows("SELECT input FROM review_items")}
    assert stored <= set(HOSTILE_TEXTS)
    assert asked <= stored


@pytest.mark.parametrize("kind", _KINDS)
def test_a_null_that_the_lake_already_holds_is_no_complaint(lake, clock, tmp_path, kind):
    """Feedback that an earlier version let in as null does not stop a batch."""
    workload = classification()
    put_answers(lake, workload, [answer(number) for number in range(60)])
    put_feedback(lake, workload, [("i00001", kind, None), ("i00002", kind, None)])
    queue = LocalReviewQueue(tmp_path / "queue", clock)
    assert turn(lake, queue, workload).by_slice.get("flagged", 0) == 0

"""What clients send and ingest takes stops nothing behind it: batches are drawn, answered, merged."""

import json
from datetime import timedelta

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from flywheel.clock import ManualClock
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
from flywheel.lake import Lake
from flywheel.ports.event_log import LogRecord, Partition
from flywheel.review.merging.collect import collect
from flywheel.review.queues.local_desk import LocalAnswerDesk
from flywheel.review.queues.local_queue import LocalReviewQueue
from tests.fakes.event_makers import make_event, make_feedback
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
from tests.fakes.strategies import HOSTILE_TEXTS, any_text, json_values

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


def turn(lake, queue, desk, workload):
    """Draw a batch, answer every item of it, merge; return the batch's report."""
    report = sample_week(lake, queue, workload, budget=60)
    for task in desk.open_items(workload, "ann@example.com"):
        output = truth(1) if workload.id == "defects" else {"category": truth(1), "urgency": "low"}
        desk.submit(workload, task.item_id, "ann@example.com", output)
    collect(lake, queue, workload, now=END + timedelta(hours=1))
    return report


@pytest.mark.parametrize("workload", [classification(), extraction()], ids=lambda w: w.id)
# A turn takes too long to be repeated for the smallest example.
@settings(max_examples=3, phases=[Phase.explicit, Phase.generate])
@given(
    spoiled=st.lists(st.tuples(any_text, json_values, any_text), min_size=50, max_size=60),
    values=st.lists(json_values, min_size=100, max_size=120),
)
def test_whatever_lands_can_be_reviewed(tmp_path_factory, workload, spoiled, values):
    """Any JSON as answer or feedback is refused at the door, or is harmless for a whole turn."""
    home = tmp_path_factory.mktemp("turn")
    clock = ManualClock(END)
    queue, desk = (one(home / "queue", clock) for one in (LocalReviewQueue, LocalAnswerDesk))
    answers = [inference(number, workload) for number in range(30)]
    answers += [
        inference(
            number,
            workload,
            request=chat_request(workload, asked or "x", model="base"),
            output=msgspec.Raw(json.dumps(output).encode()),
            client_id=client,
        )
        for number, (asked, output, client) in enumerate(spoiled, 30)
    ]
    lake = Lake(home / "lake")
    land(lake, workload, INFERENCES_TOPIC, answers)
    events = [
        feedback(number, workload, kind=_KINDS[number % len(_KINDS)], value=value)
        for number, value in enumerate(values)
    ]
    land(lake, workload, FEEDBACK_TOPIC, events)
    assert turn(lake, queue, desk, workload).pushed > 10
    lake.close()


def test_every_hostile_text_reaches_the_queue_letter_by_letter(lake, queue, desk):
    """A text is stored as it came, or refused; what people are shown is what the client wrote."""
    workload = classification(review={"budget": 60, "overlap": 0.0, "gold": 0.0})
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
    turn(lake, queue, desk, workload)
    stored = {row["input"] for row in lake.rows("SELECT input FROM inferences")}
    asked = {row["input"] for row in lake.rows("SELECT input FROM review_items")}
    assert stored <= set(HOSTILE_TEXTS)
    assert asked <= stored


@pytest.mark.parametrize("kind", _KINDS)
def test_a_null_that_the_lake_already_holds_is_no_complaint(lake, queue, desk, kind):
    """Feedback that an earlier version let in as null does not stop a batch."""
    workload = classification()
    put_answers(lake, workload, [answer(number) for number in range(60)])
    put_feedback(lake, workload, [("i00001", kind, None), ("i00002", kind, None)])
    assert turn(lake, queue, desk, workload).by_slice.get("flagged", 0) == 0

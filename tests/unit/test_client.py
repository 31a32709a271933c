"""The client of applications: what it sends lands, what would be a dead letter is refused."""

import json
from datetime import datetime

import pytest
from pydantic import BaseModel

from flywheel.client import FlywheelClient, open_client
from flywheel.clock import ManualClock
from flywheel.errors import (
    ConfigurationError,
    DataError,
    EventError,
    NotFoundError,
    UnavailableError,
)
from flywheel.eventlog.sqlite_log import SqliteEventLog
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC, raw_json
from flywheel.events.foreign import hash_subject
from flywheel.ingest.consume import IngestConsumer
from flywheel.ingest.ledger import prove
from flywheel.lake import Lake
from flywheel.settings import Settings
from flywheel.workload.model import Limits
from flywheel.workload.privacy import PrivacyRules
from tests.fakes.event_logs import kafka_world, sqlite_world
from tests.fakes.event_makers import START, make_event, make_feedback, make_workload
from tests.fakes.waiting import wait_until
from tests.fakes.workload_file import put_workload

REQUEST = {
    "model": "any",
    "user": "mrs-jones",
    "messages": [{"role": "user", "content": "the pump leaks"}],
}
RESPONSE = {
    "choices": [{"message": {"role": "assistant", "content": "leak"}}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8},
}


class UnreliableLog(SqliteEventLog):
    """Fails as often as it is told to, and accepts no value over ``largest`` bytes."""

    failures = 0
    largest = 10_000

    def append(self, topic, records):
        """Append, unless it is time to fail."""
        if self.failures:
            self.failures -= 1
            raise UnavailableError("The log is away.")
        if any(len(value) > self.largest for _, value in records):
            raise DataError("A record is too large.")
        super().append(topic, records)

    def ends(self):
        """Return how many records both topics hold."""
        return [sum(self.end_offsets(name).values()) for name in (INFERENCES_TOPIC, FEEDBACK_TOPIC)]


@pytest.fixture
def workload():
    """Return the workload that the events name."""
    return make_workload()


@pytest.fixture
def log(tmp_path):
    """Open a log with both topics."""
    opened = UnreliableLog(tmp_path / "log.db", ManualClock(START))
    for topic in (INFERENCES_TOPIC, FEEDBACK_TOPIC):
        opened.create_topic(topic, partitions=2)
    yield opened
    opened.close()


@pytest.fixture
def client(log, workload):
    """Return a client on that log; the log's own fixture closes it."""
    return make_client(log, workload)


def make_client(log, workload, **options):
    """Return a client with the limits of one workload."""
    chosen = {"limits": {workload.id: workload.limits}, "clock": ManualClock(START)} | options
    return FlywheelClient(log, client_id="line-1", hash_key="secret", **chosen)


def test_a_call_and_its_feedback_land(log, client, workload, tmp_path):
    """What the client accepts is in the lake after the next ingest, with the person hashed."""
    sent = client.send_call(
        workload.id,
        request=REQUEST,
        response=RESPONSE,
        output="leak",
        subject="mrs-jones",
        confidence=0.75,
        latency_ms=12.0,
    )
    client.send_feedback(workload.id, sent, kind="demonstration", value="crack", author="ann")
    lake = Lake(tmp_path / "lake")
    ingest = IngestConsumer(log, lake, [workload], ManualClock(START))
    ingest.run_once(100)
    ingest.close()
    ledger = prove(log, lake)
    (row,) = lake.rows("SELECT * FROM inferences")
    (feedback,) = lake.rows("SELECT * FROM feedback")
    lake.close()

    assert (ledger.landed, ledger.total("dead_letters")) == (2, 0)
    assert (row["inference_id"], row["timestamp"]) == (sent, START)
    assert (row["input"], row["output"]) == ("the pump leaks", '"leak"')
    assert (row["client_id"], row["confidence"], row["prompt_tokens"]) == ("line-1", 0.75, 7)
    assert row["subject_id"] == hash_subject("mrs-jones", "secret")
    assert "mrs-jones" not in row["request"]
    assert (feedback["inference_id"], feedback["value"]) == (sent, '"crack"')


def test_objects_of_an_sdk_are_taken_as_they_are(log, client, workload):
    """A response that is a pydantic model needs no conversion by the application."""

    class Usage(BaseModel):
        prompt_tokens: int = 3

    class Completion(BaseModel):
        id: str
        usage: Usage

    done = Completion(id="c-1", usage=Usage(prompt_tokens=3))
    client.send_call(workload.id, request=REQUEST, response=done)
    consumer = log.consumer(INFERENCES_TOPIC, group="g")
    (record,) = consumer.poll(maximum=2, timeout_seconds=0)
    event = json.loads(record.value)

    assert event["response"] == {"id": "c-1", "usage": {"prompt_tokens": 3}}
    assert event["usage"]["prompt_tokens"] == 3


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"workload_id": "report"}, "unknown_workload", "use one of: reports"),
        ({"request": raw_json({"messages": []})}, "no_input", "no user message"),
        ({"confidence": 1.5}, "out_of_range", "confidence"),
        ({"confidence": float("nan")}, "not_finite", "confidence is nan"),
        ({"inference_id": ""}, "missing_id", "length"),
        ({"inference_id": "a\nb"}, "wrong_value", "cannot be printed"),
        ({"timestamp": datetime(2026, 1, 1)}, "bad_timestamp", "timezone"),  # noqa: DTZ001
        ({"error": "x" * 200_000}, "too_large", "100000 allowed"),
        ({"response": raw_json("leak")}, "wrong_type", "object"),
    ],
)
def test_what_would_be_a_dead_letter_is_refused(log, client, workload, changes, reason, words):
    """The error names the event, what is wrong and what to do; nothing is sent."""
    with pytest.raises(EventError, match="was not sent") as caught:
        client.send(make_event(1, workload, **changes))

    assert caught.value.reason == reason
    assert words in str(caught.value)
    assert caught.value.next_step
    assert log.ends() == [0, 0]


def test_wrong_feedback_is_refused(log, client, workload):
    """The kind decides which values are possible."""
    with pytest.raises(EventError, match="kind boolean is a str"):
        client.send_feedback(workload.id, "id-1", kind="boolean", value="yes", author="ann")
    with pytest.raises(EventError, match="value cannot be written as JSON"):
        client.send_feedback(workload.id, "id-1", kind="float", value=float("inf"), author="ann")
    assert log.ends() == [0, 0]


def test_an_event_is_in_the_log_when_send_returns(log, client, workload):
    """Without a batch nothing waits in memory."""
    event = make_event(1, workload)
    feedback = make_feedback(1, workload)
    assert client.send(event) == event.inference_id
    assert client.send(feedback) == feedback.feedback_id
    assert (log.ends(), client.flush()) == ([1, 1], 0)


def test_a_batch_waits_until_it_is_full_or_flushed(log, workload):
    """The size of the batch, `flush` and the end of the block send what waits."""
    with make_client(log, workload, batch_size=3) as client:
        for number in range(4):
            client.send(make_event(number, workload))
        assert log.ends() == [3, 0]
        assert client.flush() == 1
        assert log.ends() == [4, 0]
        client.send(make_feedback(1, workload))
    reopened = UnreliableLog(log.path, ManualClock(START))
    assert reopened.ends() == [4, 1]
    reopened.close()
    with pytest.raises(ConfigurationError, match="closed"):
        client.send(make_event(9, workload))


def test_what_an_unreachable_log_did_not_take_is_sent_again(log, client, workload):
    """The event stays with the client, and a later flush or send brings it."""
    log.failures = 1
    with pytest.raises(UnavailableError):
        client.send(make_event(1, workload))
    assert log.ends() == [0, 0]
    client.send(make_event(2, workload))
    assert log.ends() == [2, 0]


def test_a_client_that_could_not_send_can_be_closed_again(log, workload):
    """Nothing is lost by closing while the log is away."""
    client = make_client(log, workload, batch_size=10)
    client.send(make_event(1, workload))
    log.failures = 1
    with pytest.raises(UnavailableError):
        client.close()
    client.close()
    reopened = UnreliableLog(log.path, ManualClock(START))
    assert reopened.ends() == [1, 0]
    reopened.close()


def test_one_event_that_the_topic_refuses_stops_no_other(log, workload):
    """A topic with a smaller limit than the workload's drops that event alone, and says so."""
    client = make_client(log, workload, batch_size=10)
    for number, error in enumerate(("", "x" * 20_000, "")):
        client.send(make_event(number, workload, error=error))
    with pytest.raises(DataError, match="1 of 3 events were not sent"):
        client.flush()
    assert (log.ends(), client.flush()) == ([2, 0], 0)


def test_without_workload_files_only_ingest_knows_the_names(log, workload):
    """An application on another machine has no files: the default limits hold."""
    client = make_client(log, workload, limits=None)
    client.send(make_event(1, workload))
    with pytest.raises(EventError, match="8001 characters"):
        client.send_call(
            workload.id,
            request={"messages": [{"role": "user", "content": "x" * 8001}]},
            response=None,
        )
    assert log.ends() == [1, 0]
    assert Limits().input_characters == 8000


def test_a_client_opens_on_what_the_settings_name(tmp_path, workload):
    """The topics are made, and a file that does not load holds back no event."""
    home = tmp_path / "home"
    put_workload(home / "workloads", workload)
    (home / "workloads" / "broken.yaml").write_text("id: [")
    settings = Settings(home=home, workloads=home / "workloads")
    with open_client(client_id="web", settings=settings) as client:
        client.send_call("reports", request=REQUEST, response=RESPONSE)
        client.send_call("broken", request=REQUEST, response=RESPONSE)
        with pytest.raises(EventError, match="use one of: broken, reports"):
            client.send_call("other", request=REQUEST, response=RESPONSE)
    log = SqliteEventLog(home / "log.db", ManualClock(START))
    assert sum(log.end_offsets(INFERENCES_TOPIC).values()) == 2
    log.close()


def test_a_client_starts_no_deployment(tmp_path):
    """A wrong home is an error, not a new log that nobody reads."""
    settings = Settings(home=tmp_path / "typo", workloads=tmp_path / "none")
    with pytest.raises(NotFoundError, match="no deployment"):
        open_client(client_id="web", settings=settings)
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize(
    "name", ["sqlite", pytest.param("kafka", marks=pytest.mark.services("kafka"))]
)
def test_every_log_takes_the_clients_events(name, request, tmp_path, workload):
    """An event sent through either adapter can be read from its topic."""
    if name == "kafka":
        world = kafka_world(request.getfixturevalue("kafka_servers"))
    else:
        world = sqlite_world(tmp_path, ManualClock(START))
    log = world.open()
    for topic in (INFERENCES_TOPIC, FEEDBACK_TOPIC):
        log.create_topic(topic, partitions=2)
    before = sum(log.end_offsets(INFERENCES_TOPIC).values())
    make_client(log, workload).send(make_event(1, workload))
    wait_until(lambda: sum(log.end_offsets(INFERENCES_TOPIC).values()) == before + 1)
    for topic in (INFERENCES_TOPIC, FEEDBACK_TOPIC):
        log.delete_topic(topic)
    log.close()


def test_a_client_masks_what_its_workload_masks(log, workload):
    """Before the event leaves the process; feedback too."""
    client = make_client(log, workload, privacy={workload.id: PrivacyRules()})
    request = {"messages": [{"role": "user", "content": "I am anna.m@example.com"}]}
    sent = client.send_call(workload.id, request=request, response=None)
    client.send_feedback(
        workload.id, sent, kind="comment", value="ask anna.m@example.com", author="ann"
    )
    for topic in (INFERENCES_TOPIC, FEEDBACK_TOPIC):
        consumer = log.consumer(topic, group="test")
        (record,) = consumer.poll(maximum=10, timeout_seconds=0)
        consumer.close()
        assert b"anna.m" not in record.value
        assert b"<EMAIL_1>" in record.value

"""What happens to topics, members and records on a real Kafka; the ledger balances after it."""

import os
import subprocess
import sys
import threading
import time

import pytest
from typer.testing import CliRunner

from flywheel.cli import dlq, topics, verify
from flywheel.errors import ConfigurationError, DataError, LogGapError
from flywheel.eventlog.kafka_connection import KafkaConnection
from flywheel.eventlog.kafka_log import KafkaEventLog
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC
from flywheel.ports.event_log import RECORD_BYTES
from tests.fakes.event_logs import SESSION_SECONDS
from tests.fakes.event_makers import keyed, make_event
from tests.fakes.kafka_plane import KafkaPlane, Member
from tests.fakes.waiting import wait_until

pytestmark = pytest.mark.services


@pytest.fixture
def plane(tmp_path, kafka_servers):
    """Return an empty data plane on the shared broker."""
    made = KafkaPlane(tmp_path, kafka_servers)
    yield made
    made.close()


@pytest.fixture
def command_line(plane, monkeypatch):
    """Return what runs a command on this plane."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(plane.home))
    monkeypatch.setenv("FLYWHEEL_EVENT_LOG", "kafka")
    monkeypatch.setenv("FLYWHEEL_KAFKA_SERVERS", plane.servers)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda app, *arguments: CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_records_that_are_gone_stop_ingest_until_someone_declares_them(plane, command_line):
    """The error names what is missing and the command; after the command, ingest goes on."""
    plane.produce(*range(40))
    lost = dict.fromkeys(plane.log.end_offsets(INFERENCES_TOPIC), 3)
    plane.forget_before(lost)
    ingest = plane.ingest()
    for _ in range(2):
        with pytest.raises(LogGapError) as caught:
            ingest.run_once(timeout_seconds=5)
        facts = caught.value.facts
        assert (facts["topic"], facts["position"], facts["first_offset"]) == (
            INFERENCES_TOPIC,
            0,
            3,
        )
        assert "offsets 0 to 2 are gone" in caught.value.message
        command = f"flywheel dlq gap {INFERENCES_TOPIC} {facts['partition']}"
        assert command in str(caught.value.next_step)
    for partition in lost:
        done = command_line(
            dlq.app,
            "gap",
            INFERENCES_TOPIC,
            str(partition.number),
            "--as",
            "op",
            "--reason",
            "late",
        )
        assert "3 offsets declared lost" in done.stdout
    ledger = plane.drain(ingest)
    assert ledger.balances
    assert (ledger.landed, ledger.total("gap"), ledger.total("produced")) == (28, 12, 40)
    assert "balances" in command_line(verify.app).stdout


def test_retention_that_overtakes_a_running_consumer_is_a_gap(plane):
    """Records that go after the reader has come to them are missed as well, and nothing skipped."""
    plane.produce(*range(40))
    ingest = plane.ingest()
    plane.drain(ingest)
    plane.produce(*range(40, 120))
    ends = plane.log.end_offsets(INFERENCES_TOPIC)
    plane.forget_before(ends)
    plane.produce(*range(120, 160))
    with pytest.raises(LogGapError):
        _read_on(ingest)
    # What had been fetched already could still land; the rest is waited for.
    ledger = plane.prove()
    assert ledger.landed < 120
    assert ledger.landed + ledger.total("lag") == 160


def _read_on(ingest) -> None:
    for _ in range(20):
        ingest.run_once(timeout_seconds=1)


def test_a_topic_made_anew_is_read_from_its_start_under_a_new_id(plane):
    """A running ingest takes nothing of the new topic for the old one, and misses nothing."""
    plane.produce(*range(50))
    ingest = plane.ingest()
    assert plane.drain(ingest).landed == 50
    old = plane.log.topic(INFERENCES_TOPIC).topic_id
    plane.log.delete_topic(INFERENCES_TOPIC)
    plane.log.create_topic(INFERENCES_TOPIC, partitions=4)
    plane.produce(*range(40, 140))
    ledger = plane.drain(ingest)
    assert ledger.balances
    assert (ledger.landed, ledger.distinct_ids, ledger.duplicates) == (150, 140, 10)
    counts = plane.lake.rows("SELECT topic_id, count(*) AS n FROM stored.inferences GROUP BY 1")
    new = plane.log.topic(INFERENCES_TOPIC).topic_id
    assert {row["topic_id"]: row["n"] for row in counts} == {old: 50, new: 100}


def test_members_come_and_go_and_every_event_lands_once(plane):
    """With records in flight, one member becomes three, then two; the lake's commit decides."""
    members = [Member(plane)]
    produced = 0

    def produce(count: int) -> None:
        nonlocal produced
        for _ in range(count // 100):
            plane.produce(*range(produced, produced + 100))
            produced += 100

    try:
        produce(1_000)
        wait_until(lambda: members[0].read > 0)
        members += [Member(plane), Member(plane)]
        produce(2_000)
        wait_until(lambda: all(member.read for member in members))
        members.pop(0).stop()
        produce(1_000)
        wait_until(lambda: plane.ingest_lag() == 0)
    finally:
        for member in members:
            member.stop()
    ledger = plane.prove()
    assert ledger.balances
    assert (ledger.landed, ledger.distinct_ids) == (produced, produced)


def test_members_that_work_between_two_polls_come_to_an_end_with_sharing_out(plane):
    """A joining that ends while its member is busy counts, and is not asked for again for ever."""
    members = [plane.log.consumer(INFERENCES_TOPIC, group="busy") for _ in range(3)]

    def by_turns() -> list[int]:
        held = []
        for member in members:
            held.append(len(member.assignment()))
            time.sleep(0.3)  # landing what it read; the others' sharing out ends meanwhile
        return sorted(held)

    wait_until(lambda: by_turns() == [1, 1, 2])
    # Whichever leads the group next: the first to be asked may be the one that all others wait for.
    members.pop(0).close()
    wait_until(lambda: by_turns() == [2, 2], seconds=40)


def test_partitions_that_are_added_are_read(plane):
    """The assignment grows by itself, and the new partitions begin at zero."""
    plane.produce(*range(20))
    ingest = plane.ingest()
    plane.drain(ingest)
    with plane.admin() as client:
        client.create_partitions({INFERENCES_TOPIC: 7})
    wait_until(lambda: len(plane.log.end_offsets(INFERENCES_TOPIC)) == 7)
    late = KafkaEventLog(plane.connection)  # a producer that starts now sees them all
    events = [keyed(make_event(number, plane.workload)) for number in range(20, 120)]
    late.append(INFERENCES_TOPIC, events)
    late.close()
    ledger = plane.drain(ingest)
    assert ledger.balances
    assert ledger.landed == 120
    used = plane.lake.rows('SELECT count(DISTINCT "partition") AS n FROM stored.inferences')
    assert used[0]["n"] > 4


def test_added_partitions_are_shared_out_among_members_that_wait_for_each_other(plane):
    """The leader's join outlasts its poll, since the other member joins only when it polls itself."""
    members = [plane.log.consumer(INFERENCES_TOPIC, group="growing") for _ in range(2)]

    def shares() -> list[int]:
        return sorted(len(member.assignment()) for member in members)

    wait_until(lambda: shares() == [2, 2])
    with plane.admin() as client:
        client.create_partitions({INFERENCES_TOPIC: 7})
    wait_until(lambda: shares() == [3, 4], seconds=60)


def test_what_is_too_large_is_refused_with_its_size(plane):
    """The producer is told size and limit; where the topic's own limit is lower, so it is."""
    with pytest.raises(DataError, match=r"8,388,610 bytes .* takes 8,388,608"):
        plane.log.append(INFERENCES_TOPIC, [(b"k", b"small"), (b"kk", b"x" * RECORD_BYTES)])
    assert sum(plane.log.end_offsets(INFERENCES_TOPIC).values()) == 0
    plane.log.create_topic("test.narrow", partitions=1, record_bytes=200_000)
    try:
        with pytest.raises(DataError, match="MessageSizeTooLarge"):
            plane.log.append("test.narrow", [(b"k", b"x" * 250_000)])
        plane.log.append("test.narrow", [(b"k", b"x" * 1_000)] * 100)
        assert list(plane.log.end_offsets("test.narrow").values()) == [100]
    finally:
        plane.log.delete_topic("test.narrow")


def test_a_message_of_five_megabytes_is_a_dead_letter(plane):
    """It gets into the topic, and ingest sets it aside whole among good events."""
    plane.produce(1, 2)
    plane.log.append(INFERENCES_TOPIC, [(b"k", b'{"a": "' + b"x" * 5_000_000 + b'"}')])
    plane.produce(3)
    ledger = plane.drain()
    assert ledger.balances
    assert (ledger.landed, ledger.total("dead_letters")) == (3, 1)
    row = plane.lake.rows("SELECT reason, octet_length(raw) AS n FROM stored.dead_letters")[0]
    assert row == {"reason": "too_large", "n": 5_000_009}


def test_a_record_without_a_value_is_a_dead_letter(plane):
    """A deletion_of, which only another client sends, is no end of the reader."""
    producer = plane.connection.producer()
    producer.send(INFERENCES_TOPIC, None, key=b"k").get(timeout=20)
    producer.close()
    ledger = plane.drain()
    assert ledger.balances
    assert ledger.total("dead_letters") == 1


def test_transactions_of_another_producer_leave_the_ledger_balanced(plane):
    """Markers and aborted records take offsets and are no events; what was committed lands."""
    from kafka import KafkaProducer

    plane.produce(*range(10))
    producer = KafkaProducer(bootstrap_servers=plane.servers, transactional_id="another")
    producer.init_transactions()
    for turn in range(6):
        producer.begin_transaction()
        for number in range(100 + turn * 10, 110 + turn * 10):
            key, value = keyed(make_event(number, plane.workload))
            producer.send(INFERENCES_TOPIC, value, key=key)
        producer.flush()
        if turn % 3 == 2:
            producer.abort_transaction()
        else:
            producer.commit_transaction()
    producer.close()
    plane.produce(*range(10, 40))
    ledger = plane.drain()
    assert ledger.balances
    assert (ledger.landed, ledger.distinct_ids) == (80, 80)
    assert ledger.total("holes") > 20
    assert ledger.total("produced") == 80 + ledger.total("lag")


def test_a_static_member_keeps_its_partitions_over_a_restart(plane):
    """Nobody else is given them within the session, and a second process of the name ends this."""
    named = KafkaConnection(plane.servers, member="ingest-1", session_seconds=30)
    log = KafkaEventLog(named)
    first = log.consumer(INFERENCES_TOPIC, group="static")
    assert len(first.assignment()) == 4
    moved: list[int] = []
    stop = threading.Event()
    other_log = KafkaEventLog(KafkaConnection(plane.servers, session_seconds=SESSION_SECONDS))
    other = other_log.consumer(INFERENCES_TOPIC, group="static")

    def watch() -> None:
        while not stop.is_set():
            moved.append(len(other.assignment()))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        wait_until(lambda: len(first.assignment()) == 2 and moved and moved[-1] == 2)
        held = first.assignment()
        log.close()  # a static member does not leave
        moved.clear()
        again = KafkaEventLog(named)
        second = again.consumer(INFERENCES_TOPIC, group="static")
        assert second.assignment() == held
        assert set(moved) <= {2}
        rival = KafkaEventLog(named).consumer(INFERENCES_TOPIC, group="static")
        assert rival.assignment() == held
        with pytest.raises(ConfigurationError, match="FencedInstanceId"):
            second.commit(dict.fromkeys(held, 0))
        rival.close()
        second.close()
        again.close()
    finally:
        stop.set()
        thread.join(timeout=30)
        other_log.close()


def test_topics_that_differ_are_told_and_left_alone(plane, command_line):
    """Retention, limits, clean-up and partitions of a real topic are compared."""
    assert command_line(topics.app, "apply").exit_code == 0
    plane.log.delete_topic(FEEDBACK_TOPIC)
    with plane.admin() as client:
        wanted = {"cleanup.policy": "compact", "max.message.bytes": "1000000"}
        client.create_topics({FEEDBACK_TOPIC: {"num_partitions": 2, "configs": wanted}})
    wait_until(lambda: command_line(topics.app, "show").exit_code == 1)
    shown = command_line(topics.app, "apply").stdout
    for text in ("differs", "compact", "1,000,000 bytes", "7 days", "CreateTime"):
        assert text in shown
    assert plane.log.topic(FEEDBACK_TOPIC).partitions == 2


def test_ten_lines_of_plain_kafka_python_land_an_event(plane, repository, command_line):
    """The snippet of the docs sends an event that ingest takes, once, sent twice or not."""
    from flywheel.workload.files import load_workloads

    plane.workload = load_workloads(repository / "deploy" / "workloads")["defect_reports"]
    snippet = repository / "deploy" / "kafka" / "produce.py"
    told = os.environ | {"FLYWHEEL_KAFKA_SERVERS": plane.servers, "PYTHONPATH": ""}
    for _ in range(2):
        subprocess.run([sys.executable, str(snippet)], check=True, env=told, timeout=60)
    ledger = plane.drain()
    assert ledger.balances
    assert (ledger.landed, ledger.total("dead_letters")) == (2, 0)
    rows = plane.lake.rows("SELECT workload_id, input, output FROM inferences")
    assert {row["input"] for row in rows} == {"paint runs down the left door"}
    assert {row["output"] for row in rows} == {'{"category":"paint","urgency":"low"}'}

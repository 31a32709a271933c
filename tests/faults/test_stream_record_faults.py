"""Doubled and poisoned records, and a clock that jumps, on a real Kafka."""

import random
from collections import Counter
from datetime import timedelta

import pytest

from flywheel.eventlog.kafka_connection import KafkaConnection
from flywheel.events import INFERENCES_TOPIC, EventContract, Reason
from flywheel.ingest.deadletters import replay
from flywheel.simulation.poison import LARGE_MESSAGE_BYTES, POISON_KINDS, poison_of_kind
from tests.fakes.event_makers import START, keyed, make_event, make_workload
from tests.fakes.poison_reasons import EXPECTED

# Much more than they take, since they start many processes and wait for what these do.
pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(900)]

_KILLED = -9


class SetClock:
    """A clock that goes where the test sets it, also backwards."""

    def __init__(self, moment) -> None:
        self.moment = moment

    def now(self):
        """Return what was set."""
        return self.moment


def test_a_producers_retry_lands_twice_and_counts_once(stream):
    """Killed before it knew that a batch had arrived, a producer sends it again."""
    consumer = stream.consumer()
    doomed = stream.producer(0, 100, step={"at": "appended", "times": 3})
    assert doomed.wait() == _KILLED
    stream.wait_until_landed(consumer)
    assert stream.producer(0, 100).wait() == 0
    stream.wait_until_landed(consumer)
    assert consumer.end() == 0
    ledger = stream.require_all(range(100), batch=10)
    # The third batch: ten events and one feedback, and a broken value in each topic.
    assert (ledger.landed, ledger.duplicates) == (121, 11)
    assert ledger.total("dead_letters") == 22
    again = {make_event(number, stream.workload).inference_id for number in range(20, 30)}
    rows = stream.lake.rows('SELECT inference_id, "offset", duplicate FROM all_inferences')
    flagged = {row["inference_id"]: row["offset"] for row in rows if row["duplicate"]}
    assert set(flagged) == again
    firsts = {row["inference_id"]: row["offset"] for row in rows if not row["duplicate"]}
    assert len(firsts) == 100
    assert all(firsts[one] < flagged[one] for one in again)
    (counted,) = stream.lake.rows("SELECT count(*) AS n FROM first_inferences")
    assert counted["n"] == 100


def test_poison_of_every_kind_harms_no_neighbor(stream):
    """Each bad value of one batch is a dead letter with its reason and bytes; the rest lands."""
    workload = make_workload(id="defect_reports")
    dice = random.Random(4)  # noqa: S311 - a seed
    bad = [(EXPECTED[kind], poison_of_kind(kind, dice)) for kind in POISON_KINDS]
    assert max(len(value) for _, value in bad) > LARGE_MESSAGE_BYTES
    events = [make_event(number, workload) for number in range(50)]
    records = [keyed(event) for event in events]
    for index, (_, value) in enumerate(bad):
        records.insert(5 * index, (f"bad-{index}".encode(), value))
    stream.log.append(INFERENCES_TOPIC, records)
    _append_null(stream)
    ingest = stream.ingest(workload)
    report = ingest.run_once()
    ingest.close()
    assert (report.commits, report.read, report.lag) == (1, 61, 0)
    assert report.landed == {"defect_reports": 50}
    letters = stream.lake.rows("SELECT reason, raw FROM dead_letters")
    found = Counter((row["reason"], row["raw"]) for row in letters)
    assert found == Counter(
        (str(reason), value) for reason, value in [*bad, (Reason.BAD_JSON, b"")]
    )
    assert stream.ids() == {event.inference_id for event in events}
    ledger = stream.prove()
    assert ledger.balances
    assert (ledger.landed, ledger.total("dead_letters")) == (50, 11)

    known_now = EventContract([workload, make_workload(id="nobody_knows_this")])
    for landed in ({"nobody_knows_this": 1}, {}):
        replayed = replay(stream.lake, known_now, now=START)
        assert replayed.landed == landed
        assert replayed.still_dead.total() == 10
    ledger = stream.prove()
    assert ledger.balances
    assert (ledger.landed, ledger.total("dead_letters"), ledger.distinct_ids) == (51, 10, 51)


def test_a_clock_that_jumps_loses_nothing(stream):
    """Landing a year ahead, then a day back, every event lands, and one of each id is the first."""
    clock = SetClock(START)
    ingest = stream.ingest(stream.workload, clock=clock)
    jumps = [timedelta(0), timedelta(days=365), timedelta(days=-1), timedelta(hours=1)]
    for number, jump in enumerate(jumps):
        clock.moment = START + jump
        # Half of each part comes a second time with the next.
        stream.fill(100 * number, 100)
        stream.append(range(max(0, 100 * number - 50), 100 * number))
        report = ingest.run_once()
        assert report.lag == 0
        ledger = stream.require_all(range(100 * number + 100), batch=10)
        assert ledger.duplicates == 50 * number
        assert ledger.total("dead_letters") == 20 * (number + 1)
    ingest.close()
    rows = stream.lake.rows(
        'SELECT inference_id, landed_at, "partition", "offset", duplicate FROM all_inferences'
    )
    firsts = {row["inference_id"]: _landed(row) for row in rows if not row["duplicate"]}
    assert len(firsts) == len(rows) - 150 == 400
    assert all(firsts[row["inference_id"]] <= _landed(row) for row in rows)


def _landed(row):
    return row["landed_at"], row["partition"], row["offset"]


def _append_null(stream):
    producer = KafkaConnection(stream.servers).producer()
    producer.send(INFERENCES_TOPIC, key=b"deleted", value=None).get(timeout=30)
    producer.close()

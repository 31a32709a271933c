"""The log itself changes under ingest: topics made again, records deleted before they were read."""

import pytest

from flywheel.events import INFERENCES_TOPIC
from flywheel.ingest.ledger import require_balance
from tests.fakes.event_makers import make_event
from tests.fakes.waiting import wait_until

# Much more than they take, since they start many processes and wait for what these do.
pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_topic_recreated_under_a_running_follower_is_read_from_its_start(stream):
    """The new topic's events land under its own id, though its offsets were seen before."""
    old = stream.log.topic(INFERENCES_TOPIC).topic_id
    stream.append(range(100))
    follower = stream.follower()
    follower.wait_for(lambda: stream.unread() == 0)
    stream.log.delete_topic(INFERENCES_TOPIC)
    new = stream.log.create_topic(INFERENCES_TOPIC, partitions=4).topic_id
    assert new != old
    # More per partition than the old topic had: its positions lie inside the new one.
    stream.append(range(1_000, 1_300))
    follower.wait_for(lambda: stream.unread() == 0)
    follower.end()
    assert follower.returncode == 0
    rows = stream.lake.rows("SELECT topic_id, inference_id FROM stored.inferences")
    for topic_id, numbers in ((old, range(100)), (new, range(1_000, 1_300))):
        wanted = sorted(make_event(number, stream.workload).inference_id for number in numbers)
        assert sorted(r["inference_id"] for r in rows if r["topic_id"] == topic_id) == wanted
    ledger = stream.require_all([*range(100), *range(1_000, 1_300)])
    produced = sum(p.produced for p in ledger.partitions if p.topic_id == new)
    assert produced == 300


def test_retention_that_overtakes_ingest_needs_a_persons_word(stream):
    """Ingest stops and names what is gone; declared by an operator, the gap is in the ledger."""
    follower = stream.follower()
    stream.fill(0, 100)
    follower.wait_for(lambda: stream.unread() == 0)
    follower.end()
    stream.fill(100, 300)
    gone = stream.delete_unread(partition=2, count=7)
    follower = stream.follower()
    wait_until(lambda: follower.returncode is not None or stream.unread() == 0)
    assert follower.end() is None
    assert follower.returncode == 1
    said = " ".join(" ".join(follower.said).split())
    assert "LogGapError" in said
    assert f"offsets {gone[0]} to {gone[-1]} are gone" in said
    assert f"flywheel dlq gap {INFERENCES_TOPIC} 2" in said
    declared = stream.flywheel(
        "dlq", "gap", INFERENCES_TOPIC, "2", "--as", "operator", "--reason", "retention"
    )
    assert "7 offsets declared lost" in declared
    follower = stream.follower()
    follower.wait_for(lambda: stream.unread() == 0)
    follower.end()
    assert follower.returncode == 0
    ledger = stream.prove()
    require_balance(ledger)
    assert (ledger.total("lag"), ledger.total("gap")) == (0, 7)
    assert [p.gap for p in ledger.partitions if p.topic == INFERENCES_TOPIC] == [0, 0, 7, 0]
    produced = {make_event(number, stream.workload).inference_id for number in range(400)}
    assert len(produced - stream.ids()) == 7
    assert stream.ids() < produced
    assert ledger.landed == ledger.distinct_ids == 400 - 7 + 40

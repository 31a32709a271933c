"""Consumers die, freeze and change places on a real Kafka; the ledger must balance after it."""

import pytest

from flywheel.ingest.consume import STEPS

# Much more than they take, since they start many processes and wait for what these do.
pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(900)]

_KILLED = -9
_BATCH = 10


def _require_dead_letters(ledger, batches):
    # One broken message per batch and topic.
    assert ledger.total("dead_letters") == 2 * batches


@pytest.mark.parametrize("step", STEPS)
def test_a_consumer_killed_between_two_steps_loses_and_doubles_nothing(stream, step):
    """Killed in its second batch and started again, a consumer lands every event once."""
    stream.fill(0, 300)
    doomed = stream.consumer(connection={"member": "one"}, batch=60, step={"at": step, "times": 2})
    assert doomed.wait() == _KILLED
    assert [line["step"] for line in doomed.named("kill")] == [step]
    between = stream.prove()
    assert between.balances
    assert between.total("lag") > 0
    # The same member again, so that the group does not have to miss it first.
    heir = stream.consumer(connection={"member": "one"}, batch=60)
    stream.wait_until_landed(heir)
    assert heir.end() == 0
    _require_dead_letters(stream.require_all(range(300), batch=_BATCH), 30)


def test_two_consumers_share_a_batch_in_flight(stream):
    """A second member joins while the first holds a batch that is read and not landed."""
    producer = stream.producer(0, 400)
    first = stream.consumer(step={"at": "read", "times": 3, "action": "hold"})
    first.wait_for("hold")
    second = stream.consumer()
    stream.wait_until_rebalancing(2)
    first.go_on()
    stream.wait_until_settled(2)
    assert producer.wait() == 0
    stream.fill(400, 100)
    stream.wait_until_landed(second)
    assert [one.end() for one in (first, second)] == [0, 0]
    assert all(_rows(one) for one in (first, second))
    _require_dead_letters(stream.require_all(range(500), batch=_BATCH), 50)


def test_a_member_joins_and_one_leaves_while_two_hold_batches(stream):
    """Of three members one leaves, another comes, and what the others hold lands once."""
    hold = {"at": "dead_letters_written", "action": "hold"}
    holding = [stream.consumer(step=hold), stream.consumer(step=hold)]
    leaving = stream.consumer()
    stream.wait_until_settled(3)
    producer = stream.producer(0, 400)
    for member in holding:
        member.wait_for("hold")
    leaving.wait_for("landed")
    assert leaving.end() == 0
    coming = stream.consumer()
    stream.wait_until_rebalancing(3)
    for member in holding:
        member.go_on()
    stream.wait_until_settled(3)
    assert producer.wait() == 0
    stream.fill(400, 100)
    stream.wait_until_landed(coming)
    assert [one.end() for one in (*holding, coming)] == [0, 0, 0]
    assert all(_rows(one) for one in (*holding, leaving, coming))
    _require_dead_letters(stream.require_all(range(500), batch=_BATCH), 50)


@pytest.mark.parametrize("step", ["dead_letters_written", "rows_committed"])
def test_a_zombie_comes_too_late(stream, step):
    """Frozen beyond its session and thawed after another landed its batch, it changes nothing."""
    stream.fill(0, 300)
    zombie = stream.consumer(batch=60, step={"at": step, "times": 2, "action": "stop"})
    zombie.wait_for("stop")
    assert stream.unread() > 0
    heir = stream.consumer()
    stream.wait_until_landed(heir)
    committed = stream.committed()
    landed = len(zombie.named("landed"))
    zombie.go_on()
    zombie.wait_until(lambda: zombie.named("failed") or len(zombie.named("landed")) > landed)
    if step == "dead_letters_written":
        assert zombie.named("failed")[0]["error"] == "ConcurrencyError"
    stream.wait_until_settled(2)
    stream.fill(300, 100)
    stream.wait_until_landed(heir)
    assert [one.end() for one in (zombie, heir)] == [0, 0]
    assert all(at >= committed[place] for place, at in stream.committed().items())
    _require_dead_letters(stream.require_all(range(400), batch=_BATCH), 40)


def _rows(consumer):
    return sum(line["rows"] for line in consumer.named("landed"))

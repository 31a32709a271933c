"""Brokers are killed in mid-stream; what was confirmed lands, and lands once."""

from contextlib import closing

import pytest

from tests.fakes.stream_world import StreamWorld
from tests.fakes.waiting import wait_until

# Much more than they take, since they start many processes and wait for what these do.
pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(900)]

_BATCH = 10
# Shorter than the broker is away, so that both sides see it fail and try again.
_IMPATIENT = {"timeout_seconds": 3.0}


def test_a_killed_broker_comes_back_with_all_that_it_confirmed(tmp_path, own_services):
    """Producers and a consumer see the only broker die, wait for it, and go on."""
    services = own_services("kafka")
    with closing(StreamWorld(tmp_path, services.connections.kafka_servers)) as stream:
        first, second = 600, 600
        consumer = stream.consumer(connection=_IMPATIENT)
        consumer.wait_for("joined")
        producers = [
            stream.producer(0, first, pause=0.05, connection=_IMPATIENT),
            stream.producer(1_000, second, pause=0.05, connection=_IMPATIENT),
        ]
        wait_until(lambda: stream.landed() > 0, said=lambda: consumer.lines)
        services.kill("kafka")
        for process in (*producers, consumer):
            process.wait_for("failed")
        services.start("kafka")
        assert [producer.wait() for producer in producers] == [0, 0]
        stream.wait_until_landed(consumer)
        assert consumer.end() == 0
        numbers = [*range(first), *range(1_000, 1_000 + second)]
        ledger = stream.require_all(numbers, batch=_BATCH)
        # A batch that was sent again brings its broken values again.
        assert ledger.total("dead_letters") >= 2 * len(numbers) // _BATCH


def test_one_of_three_brokers_is_killed_and_its_partitions_move(tmp_path, own_services):
    """With the leader of partitions dead, producing and ingest go on with the two others."""
    services = own_services("kafka", brokers=3)
    with closing(StreamWorld(tmp_path, services.connections.kafka_servers)) as stream:
        assert all(len(copies) == 3 for copies in stream.replicas().values())
        follower = stream.follower()
        follower.wait_for(lambda: follower.named("joined"))
        producers = [stream.producer(0, 400, pause=0.05), stream.producer(1_000, 400, pause=0.05)]
        wait_until(lambda: stream.landed() > 0, said=lambda: follower.lines)
        victim = min(stream.leaders().values())
        services.kill(f"kafka-{victim}")
        assert any(producer.running for producer in producers)
        wait_until(lambda: victim not in stream.leaders().values(), said=stream.leaders)
        assert [producer.wait() for producer in producers] == [0, 0]
        follower.wait_for(lambda: stream.unread() == 0)
        follower.end()
        assert follower.returncode == 0
        assert victim not in stream.leaders().values()
        numbers = [*range(400), *range(1_000, 1_400)]
        ledger = stream.require_all(numbers, batch=_BATCH)
        assert ledger.total("dead_letters") >= 2 * len(numbers) // _BATCH
        for name in set(services.names) - {f"kafka-{victim}"}:
            services.kill(name)  # in good order, they would wait for the dead one

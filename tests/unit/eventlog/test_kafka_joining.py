"""A member of a group where Kafka's client alone would wait for ever, or take a new topic for a loss."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import LogTruncationError, RebalanceInProgressError

from flywheel.errors import LogGapError, TransientError
from flywheel.eventlog.kafka_consumer import KafkaLogConsumer
from flywheel.ports.event_log import Topic


class _Client:
    """What kafka-python's consumer does with a join, without a broker."""

    def __init__(self) -> None:
        self.answers = 0
        self.lost = self.fails = False
        self._coordinator = SimpleNamespace(
            rejoin_needed=False,
            request_rejoin=self._request_rejoin,
            _generation=SimpleNamespace(is_lost=lambda: self.lost),
            _do_join_and_sync_async=self._join,
        )

    async def _join(self) -> int:
        self.answers += 1
        self.lost = False
        if self.fails:
            raise RebalanceInProgressError
        return self.answers

    def _request_rejoin(self) -> None:
        self._coordinator.rejoin_needed = True

    def subscribe(self, _topics: list[str], *, listener: Any) -> None:
        self._listener = listener

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return {0}

    def poll(self, **_: Any) -> dict[Any, Any]:
        self._listener.on_partitions_revoked(())
        return {}

    def position(self, place: Any) -> int:
        raise LogTruncationError({place: None})

    def join(self) -> Any:
        """Join as the client does, each time that somebody polls before the answer was used."""
        return asyncio.run(self._coordinator._do_join_and_sync_async())


@pytest.fixture
def client() -> _Client:
    """A client that a member of a group drives."""
    client = _Client()
    member(client)
    return client


def member(client: _Client, **topics: Any) -> KafkaLogConsumer:
    """Return a member of a group that reads the partition ``0`` of a topic."""
    connection: Any = SimpleNamespace(timeout_seconds=1.0, consumer=lambda _group: client)
    catalog: Any = SimpleNamespace(**topics)
    return KafkaLogConsumer(connection, catalog, Topic("t", "id", 1), "g")


def test_an_answer_that_was_not_used_yet_is_not_asked_for_again(client):
    """Members that work between two polls would otherwise ask each other to join for ever."""
    assert [client.join(), client.join()] == [1, 1]


def test_a_join_that_has_begun_is_needed_until_it_is_used(client):
    """The client would forget it where partitions were added, whatever the group has answered."""
    client.join()
    assert client._coordinator.rejoin_needed


def test_the_answer_of_an_ended_membership_is_not_used(client):
    """The broker has removed the member meanwhile: it asks to be let in again."""
    client.join()
    client.lost = True
    assert client.join() == 2


def test_a_join_that_fails_half_way_is_not_answered_by_the_one_before(client):
    """The others ask to join once more: the member does too, and the old answer is of no use."""
    client.join()
    client.lost = client.fails = True
    with pytest.raises(RebalanceInProgressError):
        client.join()
    client.fails = False
    assert client.join() == 3


def test_a_topic_that_was_made_anew_is_no_loss():
    """It is shorter than what was read of the one before: its new id says why. A real loss is told."""

    def is_another(*_: object) -> None:
        raise TransientError("the topic was made anew", next_step="look again")

    place = TopicPartition("t", 0)
    with pytest.raises(TransientError, match="made anew"):
        member(_Client(), require_same=is_another)._position(place)
    with pytest.raises(LogGapError):
        member(_Client(), require_same=lambda *_: None)._position(place)

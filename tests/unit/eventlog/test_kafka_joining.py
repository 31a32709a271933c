"""What a group answered to a join is kept until it is used, and no longer than the membership."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.errors import RebalanceInProgressError

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

    def join(self) -> Any:
        """Join as the client does, each time that somebody polls before the answer was used."""
        return asyncio.run(self._coordinator._do_join_and_sync_async())


@pytest.fixture
def client() -> _Client:
    """A client that a member of a group drives."""
    client = _Client()
    connection: Any = SimpleNamespace(timeout_seconds=1.0, consumer=lambda _group: client)
    topics: Any = SimpleNamespace()
    KafkaLogConsumer(connection, topics, Topic("t", "id", 1), "g")
    return client


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

"""The batcher asks at once when idle, together when busy, and fails nobody for another."""

import asyncio
import threading

import pytest

from flywheel.errors import DataError, UnavailableError
from flywheel.gateway.arms import Arm
from flywheel.gateway.batching import Batcher
from tests.fakes.gateway_world import Replies

CHAMPION, CANARY = Arm("champion", "r1"), Arm("canary", "r2")


@pytest.fixture
def replies():
    """Return what the model server answers with."""
    return Replies()


@pytest.fixture
def batcher(replies):
    """Return a batcher with one thread and room for four."""
    batcher = Batcher(replies, threads=1, most_waiting=4)
    yield batcher
    batcher.close()


def test_an_idle_server_is_asked_at_once(batcher, replies):
    """One request is one call."""
    asked = asyncio.run(batcher.ask(CHAMPION, "a"))
    assert (asked.release, asked.answer.output) == ("r1", "seal")
    assert replies.asked == [["a"]]


def test_requests_that_come_meanwhile_are_asked_together(batcher, replies):
    """While the first is answered, three gather for the second call."""
    entered, go = threading.Event(), threading.Event()

    def before():
        entered.set()
        go.wait(10)

    replies.before = before

    async def run():
        first = asyncio.create_task(batcher.ask(CHAMPION, "a"))
        await asyncio.to_thread(entered.wait, 10)
        others = [asyncio.create_task(batcher.ask(CHAMPION, text)) for text in "bcd"]
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(first, *others)

    asyncio.run(run())
    assert replies.asked == [["a"], ["b", "c", "d"]]


def test_each_arm_is_asked_for_its_own_inputs(batcher, replies):
    """Requests of two arms that wait together are two calls, each of one release."""
    entered, go = threading.Event(), threading.Event()
    replies.before = lambda: (entered.set(), go.wait(10))

    async def run():
        first = asyncio.create_task(batcher.ask(CHAMPION, "a"))
        await asyncio.to_thread(entered.wait, 10)
        arms = [CHAMPION, CANARY, CHAMPION]
        others = [asyncio.create_task(batcher.ask(*one)) for one in zip(arms, "bcd", strict=True)]
        await asyncio.sleep(0)
        assert batcher.is_busy
        go.set()
        return [asked.release for asked in await asyncio.gather(first, *others)]

    assert asyncio.run(run()) == ["r1", "r1", "r2", "r1"]
    assert replies.asked == [["a"], ["b", "d"], ["c"]]


def test_a_full_queue_refuses_at_once(batcher, replies):
    """A fifth waiting request gets an error in place of a place."""
    entered, go = threading.Event(), threading.Event()
    replies.before = lambda: (entered.set(), go.wait(10))

    async def run():
        first = asyncio.create_task(batcher.ask(CHAMPION, "a"))
        await asyncio.to_thread(entered.wait, 10)
        waiting = [asyncio.create_task(batcher.ask(CHAMPION, text)) for text in "bcde"]
        await asyncio.sleep(0)
        assert batcher.waiting == 4
        with pytest.raises(UnavailableError, match="4 requests are waiting"):
            await batcher.ask(CHAMPION, "f")
        go.set()
        await asyncio.gather(first, *waiting)

    asyncio.run(run())


def test_one_input_that_does_not_fit_fails_alone(replies):
    """The others of its call are asked again without it."""

    def ask(arm, inputs):
        if "long" in inputs:
            raise DataError("does not fit")
        return replies(arm, inputs)

    entered, go = threading.Event(), threading.Event()
    replies.before = lambda: (entered.set(), go.wait(10))
    batcher = Batcher(ask, threads=1, most_waiting=4)

    async def run():
        first = asyncio.create_task(batcher.ask(CHAMPION, "a"))
        await asyncio.to_thread(entered.wait, 10)
        others = [asyncio.create_task(batcher.ask(CHAMPION, text)) for text in ("b", "long", "c")]
        await asyncio.sleep(0)
        go.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    outcomes = asyncio.run(run())
    batcher.close()
    assert [type(outcome).__name__ for outcome in outcomes] == [
        "Asked", "Asked", "DataError", "Asked",
    ]  # fmt: skip


def test_an_unexpected_error_reaches_the_client_and_the_thread_lives(batcher, replies):
    """The next request is answered."""
    replies.error = ZeroDivisionError("bug")
    with pytest.raises(ZeroDivisionError):
        asyncio.run(batcher.ask(CHAMPION, "a"))
    replies.error = None
    assert asyncio.run(batcher.ask(CHAMPION, "b")).answer.output == "seal"


def test_a_client_that_is_gone_is_not_asked_for(batcher, replies):
    """Its place in the next call is free."""
    entered, go = threading.Event(), threading.Event()
    replies.before = lambda: (entered.set(), go.wait(10))

    async def run():
        first = asyncio.create_task(batcher.ask(CHAMPION, "a"))
        await asyncio.to_thread(entered.wait, 10)
        gone, stays = (
            asyncio.create_task(batcher.ask(CHAMPION, "b")),
            asyncio.create_task(batcher.ask(CHAMPION, "c")),
        )
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(first, stays)

    asyncio.run(run())
    assert replies.asked == [["a"], ["c"]]

"""Work for a client ends with the client, with its time, or with who asked for it: each as itself."""

import asyncio

import pytest

from flywheel.gateway.presence import ClientGoneError, Presence


class _Request:
    # Connected until `gone` is set.
    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def receive(self):
        await self.gone.wait()
        return {"type": "http.disconnect"}


async def _long():
    await asyncio.Event().wait()


def test_work_is_cancelled_once_the_client_is_gone():
    """What follows is not begun."""

    async def drive():
        request, begun = _Request(), []
        async with Presence.of(request) as presence:
            asyncio.get_running_loop().call_soon(request.gone.set)
            with pytest.raises(ClientGoneError):
                await presence.while_there(_long)
            assert presence.is_gone
            with pytest.raises(ClientGoneError):
                await presence.while_there(lambda: begun.append(1))
        assert begun == []
        assert asyncio.current_task().cancelling() == 0

    asyncio.run(drive())


def test_a_cancellation_from_outside_stays_one():
    """A server that ends is not a client that is gone, not even where both come at once."""

    async def drive(is_gone):
        request = _Request()
        async with Presence.of(request) as presence:
            task = asyncio.create_task(presence.while_there(_long))
            await asyncio.sleep(0)
            if is_gone:
                request.gone.set()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert presence.is_gone == is_gone

    asyncio.run(drive(is_gone=False))
    asyncio.run(drive(is_gone=True))


def test_time_that_is_up_is_not_a_client_that_is_gone():
    """The client is still there afterwards, and its answer is given."""

    async def drive():
        async with Presence.of(_Request()) as presence:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await presence.while_there(_long)
            assert not presence.is_gone
            assert await presence.while_there(lambda: asyncio.sleep(0, "answer")) == "answer"

    asyncio.run(drive())

"""`Presence`: whether the client of a request is still connected, and work that ends when it is not.

A model that answers nobody costs as much as one that answers somebody, and an answer that nobody
received must not count as one.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from flywheel.gateway.api_errors import ApiError

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["CLIENT_GONE", "ClientGoneError", "Presence", "client_gone"]

CLIENT_GONE = 499
Result = TypeVar("Result")


class ClientGoneError(Exception):
    """The client closed its connection while its answer was under way."""


class Presence:
    """Whether the client of one request is there; one that is not watched always is."""

    def __init__(self) -> None:
        self._is_gone = False
        self._task: asyncio.Task[object] | None = None

    @property
    def is_gone(self) -> bool:
        """Whether the connection was closed."""
        return self._is_gone

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, request: "Request") -> "AsyncIterator[Presence]":
        """Watch the connection of a request whose body was read, while the block runs."""
        presence = cls()
        watch = asyncio.create_task(presence._watch(request))
        try:
            yield presence
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch

    async def while_there(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Return the result of some work, or cancel it once the client is gone.

        The work runs in the caller's task, which is cancelled as `asyncio.timeout` does it; there
        is one at a time.

        Raises:
            ClientGoneError: the client is gone.
        """
        if self._is_gone:
            raise ClientGoneError
        task = self._task = asyncio.current_task()
        assert task is not None
        former = task.cancelling()
        try:
            return await work()
        except asyncio.CancelledError as error:
            # Of one who ends this task as well, the cancellation goes on.
            if self._is_gone and task.uncancel() <= former:
                raise ClientGoneError from error
            raise
        finally:
            self._task = None

    async def _watch(self, request: "Request") -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        if self._task is not None:
            self._task.cancel()


def client_gone(what: str) -> ApiError:
    """Return the error of an answer that its client did not wait for."""
    return ApiError(CLIENT_GONE, "client_closed_request", what)

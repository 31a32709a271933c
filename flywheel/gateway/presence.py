"""`Presence`: whether the client of a request is still connected, and work that ends when it is not.

A model that answers nobody costs as much as one that answers somebody, and an answer that nobody
received must not count as one.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from flywheel.gateway.api_errors import ApiError

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["CLIENT_GONE", "ClientGoneError", "Presence", "client_gone"]

CLIENT_GONE = 499
Result = TypeVar("Result")


class ClientGoneError(Exception):
    """The client closed its connection while its answer was under way."""


class Presence:
    """Whether a client is there; one that is not watched always is."""

    def __init__(self) -> None:
        self._gone = asyncio.Event()

    @property
    def is_gone(self) -> bool:
        """Whether the connection was closed."""
        return self._gone.is_set()

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

    async def while_there(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return the result of some work, or cancel it once the client is gone.

        Raises:
            ClientGoneError: the client is gone.
        """
        task = asyncio.create_task(work)
        gone = asyncio.create_task(self._gone.wait())
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ClientGoneError
            return task.result()
        finally:
            for one in (task, gone):
                one.cancel()

    async def _watch(self, request: "Request") -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self._gone.set()


def client_gone(what: str) -> ApiError:
    """Return the error of an answer that its client did not wait for."""
    return ApiError(CLIENT_GONE, "client_closed_request", what)

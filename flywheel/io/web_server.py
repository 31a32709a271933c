"""`serve_in_thread`: a small HTTP server of starlette and uvicorn in a thread of its own.

Slow or many callers cannot keep it from answering the next one.
"""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from flywheel.errors import ConfigurationError

if TYPE_CHECKING:
    from starlette.types import ASGIApp
    from uvicorn import Config, Server
    from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["listen_at_port", "program_server", "serve_at_port", "serve_in_thread"]

# A connection that finds the queue full is tried again by the caller's system seconds later.
_QUEUE = 128
_PROGRAM_STOP_SECONDS = 10  # (as below)
_STOP_SECONDS = 2  # for answers that are under way when the server stops
# A burst of connections is accepted at once: a request that came with it is read before its
# connection is taken for a silent one, unless there are too many.
_READING_SECONDS = 0.02
_BURST = 8


@contextmanager
def serve_in_thread(
    app: "ASGIApp",
    address: tuple[str, int],
    name: str,
    *,
    connections: int = 64,
    seconds: float = 10.0,
) -> Iterator[int]:
    """Serve an application while the block runs, and yield the port.

    A call has so many seconds from its connection to the end of its answer, however slowly it
    sends; where all places are taken, the connection that has been silent longest is closed.
    Every answer closes its connection. Calls whose answer is under way at the end are answered.

    Args:
        app: an ASGI application.
        address: host and port; port 0 takes a free one.
        name: of the thread.
        connections: how many calls are served at a time.
        seconds: how long one may take in all.

    Raises:
        OSError: the address cannot be listened at.
    """
    from uvicorn import Config

    listener = _listen(address)
    places = _Places(connections, seconds)
    config = Config(
        app,
        http=_bounded_protocol(places),
        ws="none",
        loop="asyncio",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="error",  # what strangers send is not worth a line
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        # What was not read of a body is never taken for a second call.
        headers=[("Connection", "close")],
        backlog=_QUEUE,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    server = _stoppable(config, places)
    thread = threading.Thread(target=server.run, args=([listener],), name=name, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.stop()
        thread.join()
        listener.close()


@contextmanager
def serve_at_port(
    app: "ASGIApp", address: tuple[str, int], name: str, *, connections: int, if_taken: str
) -> Iterator[int]:
    """Serve as `serve_in_thread` does, for a program whose port a person chose.

    Raises:
        ConfigurationError: the address cannot be listened at; ``if_taken`` says what to do then.
    """
    with ExitStack() as stack:
        try:
            port = stack.enter_context(serve_in_thread(app, address, name, connections=connections))
        except OSError as error:
            raise _unusable(address, name, if_taken, error) from error
        yield port


@contextmanager
def listen_at_port(
    address: tuple[str, int], name: str, *, if_taken: str
) -> Iterator[socket.socket]:
    """Yield a listening socket for a server that a program runs itself.

    Raises:
        ConfigurationError: the address cannot be listened at; ``if_taken`` says what to do then.
    """
    try:
        listener = _listen(address)
    except OSError as error:
        raise _unusable(address, name, if_taken, error) from error
    with listener:
        yield listener


def program_server(app: "ASGIApp", *, proxy_headers: bool) -> "Server":
    """Return the server of a program that serves people or applications until it is ended.

    Args:
        app: an ASGI application; its lifespan is that of the server.
        proxy_headers: take a caller's address from a proxy on this machine.
    """
    from uvicorn import Config, Server

    return Server(
        Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=proxy_headers,
            timeout_graceful_shutdown=_PROGRAM_STOP_SECONDS,
        )
    )


def _listen(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    return socket.create_server(address, family=family, backlog=_QUEUE)


def _unusable(
    address: tuple[str, int], name: str, if_taken: str, error: OSError
) -> ConfigurationError:
    return ConfigurationError(
        f"Port {address[1]} of {address[0]} cannot be used for {name}: {error.strerror}.",
        next_step=if_taken,
    )


def _stoppable(config: "Config", places: "_Places") -> Any:
    from uvicorn import Server

    class StoppableServer(Server):
        # In place of a look ten times a second whether to stop.
        loop: asyncio.AbstractEventLoop | None = None

        async def main_loop(self) -> None:
            self.end = asyncio.Event()
            self.loop = asyncio.get_running_loop()
            await self.on_tick(0)  # sets the headers of every answer
            if not self.should_exit:
                await self.end.wait()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # A connection that is just being accepted is one of those to close; asyncio leaves it
            # open where its server is closed in that moment.
            for listener in sockets or []:
                asyncio.get_running_loop().remove_reader(listener.fileno())
            await asyncio.sleep(_READING_SECONDS)
            await super().shutdown(sockets)
            places.close()
            await asyncio.sleep(0)

        def stop(self) -> None:
            self.should_exit = True
            if self.loop is not None:
                with suppress(RuntimeError):  # it has ended
                    self.loop.call_soon_threadsafe(self.end.set)

    return StoppableServer(config)


class _Places:
    # The open connections of one server in the order in which they came, used by its loop alone. A
    # connection's `cycle` is the call that it makes, None before the head of one has arrived.
    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._open: dict[H11Protocol, tuple[float, asyncio.TimerHandle]] = {}

    def enter(self, connection: "H11Protocol") -> None:
        loop = asyncio.get_running_loop()
        end = loop.call_later(self._seconds, connection.transport.abort)
        self._open[connection] = (loop.time(), end)
        if len(self._open) > _BURST * self._most:
            self._make_room(loop.time())
        elif len(self._open) > self._most:
            loop.call_later(_READING_SECONDS, self._make_room, loop.time())

    def leave(self, connection: "H11Protocol") -> None:
        _, end = self._open.pop(connection, (0.0, None))
        if end is not None:
            end.cancel()

    def close(self) -> None:
        for connection in list(self._open):
            self.leave(connection)
            connection.transport.abort()

    def _make_room(self, until: float) -> None:
        # Connections since before that time that ask nothing, the oldest first; one that is being
        # answered has to go only where all places are taken by such.
        excess = max(0, len(self._open) - self._most)
        asking = [connection for connection in self._open if connection.cycle is not None]
        silent = [
            connection
            for connection, (since, _) in self._open.items()
            if connection.cycle is None and since <= until
        ]
        for connection in silent[:excess] + asking[: max(0, len(asking) - self._most)]:
            self.leave(connection)
            connection.transport.abort()


def _bounded_protocol(places: _Places) -> "type[H11Protocol]":
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class BoundedProtocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            places.enter(self)

        def connection_lost(self, exc: Exception | None) -> None:
            places.leave(self)
            super().connection_lost(exc)

    return BoundedProtocol

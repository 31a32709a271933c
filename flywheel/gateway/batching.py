"""`Batcher`: many waiting requests become few calls of a model server.

A request that comes while the server is idle is asked at once; those that come meanwhile are asked
together, those of one arm in one call. Nothing waits for a batch to fill.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from flywheel.errors import DataError, UnavailableError
from flywheel.gateway.arms import Arm
from flywheel.gateway.openai_endpoint import TierAnswer
from flywheel.ports.model_server import Answer

__all__ = ["Asked", "Batcher", "Served"]

_LARGEST_BATCH = 32


class Served(Protocol):
    """Answers of one release to the inputs of one call."""

    @property
    def release(self) -> str:
        """Name of the release that answered."""
        ...

    @property
    def answers(self) -> Sequence[Answer]:
        """One answer for each input, in order."""
        ...


@dataclass(frozen=True)
class Asked:
    """One answer and the release that gave it."""

    release: str
    answer: Answer | TierAnswer


@dataclass(frozen=True)
class _Waiting:
    arm: Arm
    text: str
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Asked]"

    def resolve(self, result: Asked) -> None:
        self._call(partial(_set_result, self.future, result))

    def fail(self, error: Exception) -> None:
        self._call(partial(_set_error, self.future, error))

    def _call(self, action: Callable[[], None]) -> None:
        try:
            self.loop.call_soon_threadsafe(action)
        except RuntimeError:
            # The server ended while the answer was under way: its client is gone as well.
            if not self.loop.is_closed():
                raise


class Batcher:
    """Ask a model server from threads of its own, several inputs at a time.

    Args:
        ask: answers inputs with the release of an arm; called from several threads.
        threads: how many calls are under way at a time.
        most_waiting: how many requests may wait; more are refused with UnavailableError.
    """

    def __init__(
        self, ask: Callable[[Arm, Sequence[str]], Served], *, threads: int, most_waiting: int
    ) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._under_way = 0
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(most_waiting)
        self._threads = [
            threading.Thread(target=self._run, name=f"answers-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Number of requests that no call has taken up yet."""
        return self._queue.qsize()

    @property
    def is_busy(self) -> bool:
        """Whether a request waits, or would have to."""
        return self.waiting > 0 or self._under_way >= len(self._threads)

    async def ask(self, arm: Arm, text: str) -> Asked:
        """Return the answer to one input; errors of the model server are raised as they are."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(arm, text, loop, loop.create_future())
        try:
            self._queue.put_nowait(waiting)
        except queue.Full:
            raise UnavailableError(
                f"{self._queue.maxsize} requests are waiting already.", next_step="try again"
            ) from None
        return await waiting.future

    def ask_now(self, arm: Arm, text: str) -> Asked:
        """Return the answer to one input, asked from the caller's thread beside what waits."""
        served = self._ask(arm, [text])
        (answer,) = served.answers
        return Asked(served.release, answer)

    def close(self) -> None:
        """Answer what waits and end the threads."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, is_last = self._batch(first)
            # A client that is gone, or whose time is up, asks for nothing any more.
            batch = [waiting for waiting in batch if not waiting.future.done()]
            by_arm: dict[Arm, list[_Waiting]] = {}
            for waiting in batch:
                by_arm.setdefault(waiting.arm, []).append(waiting)
            for group in by_arm.values():
                with self._counted():
                    self._answer(group)
            if is_last:
                return

    def _batch(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        batch = [first]
        while len(batch) < _LARGEST_BATCH:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return batch, True
            batch.append(following)
        return batch, False

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    def _answer(self, batch: Sequence[_Waiting]) -> None:
        try:
            served = self._ask(batch[0].arm, [waiting.text for waiting in batch])
        except DataError as error:
            if len(batch) == 1:
                batch[0].fail(error)
                return
            # One input that does not fit fails no other.
            for waiting in batch:
                self._answer([waiting])
        except Exception as error:  # noqa: BLE001 - a thread that ended would leave its clients waiting
            for waiting in batch:
                waiting.fail(error)
        else:
            for waiting, answer in zip(batch, served.answers, strict=True):
                waiting.resolve(Asked(served.release, answer))


def _set_result(future: "asyncio.Future[Asked]", result: Asked) -> None:
    if not future.done():
        future.set_result(result)


def _set_error(future: "asyncio.Future[Asked]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)

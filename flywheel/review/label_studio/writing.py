"""Keeping hints: one thread writes what the calls brought, many to a transaction."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from flywheel.errors import FlywheelError

__all__ = ["Hint", "HintWriter", "writing"]

Hint = tuple[str, str]
_MOST_WAITING = 1000
_BATCH = 200
_RETRY_SECONDS = 1.0
_POLL_SECONDS = 0.2


class _Waiting:
    def __init__(self, hint: Hint) -> None:
        self.hint = hint
        self.kept = threading.Event()


class HintWriter:
    """Write hints durably; what cannot be written now is tried again."""

    def __init__(self, put: Callable[[Sequence[Hint]], None]) -> None:
        self._put = put
        self._waiting: queue.Queue[_Waiting] = queue.Queue(_MOST_WAITING)
        self._failure: str | None = None
        self._ended = threading.Event()

    def keep(self, hint: Hint, *, seconds: float) -> bool:
        """Hand a hint over and tell whether it is durable within the time."""
        waiting = _Waiting(hint)
        try:
            self._waiting.put_nowait(waiting)
        except queue.Full:
            return False
        return waiting.kept.wait(seconds)

    def problem(self) -> str | None:
        """Return why hints cannot be kept at present, None when they can."""
        return self._failure

    def run(self) -> None:
        """Write until ``end`` is called and nothing waits."""
        while True:
            batch = self._next_batch()
            if not batch:
                if self._ended.is_set():
                    return
                continue
            # A set: the same said twice at the same moment is one hint.
            while not self._write(sorted({one.hint for one in batch})):
                if self._ended.wait(_RETRY_SECONDS):
                    return
            for one in batch:
                one.kept.set()

    def end(self) -> None:
        """Let ``run`` return."""
        self._ended.set()

    def _next_batch(self) -> list[_Waiting]:
        try:
            batch = [self._waiting.get(timeout=_POLL_SECONDS)]
        except queue.Empty:
            return []
        while len(batch) < _BATCH:
            try:
                batch.append(self._waiting.get_nowait())
            except queue.Empty:
                break
        return batch

    def _write(self, hints: Sequence[Hint]) -> bool:
        try:
            self._put(hints)
        except FlywheelError as error:
            self._failure = error.message
            return False
        self._failure = None
        return True


@contextmanager
def writing(put: Callable[[Sequence[Hint]], None]) -> Iterator[HintWriter]:
    """Run a writer in a thread of its own while the block runs."""
    writer = HintWriter(put)
    thread = threading.Thread(target=writer.run, name="hints", daemon=True)
    thread.start()
    try:
        yield writer
    finally:
        writer.end()
        thread.join()

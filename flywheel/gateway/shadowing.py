"""`Shadower`: copies of requests for a release that no caller sees, asked while nobody waits.

A copy is asked after the caller's answer has left, one at a time and only while the model server has
room; it is dropped, and counted, where the server stays busy, where too many copies wait, or where
the day's ration is spent. What it answers becomes an event like every other.
"""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from flywheel.errors import FlywheelError
from flywheel.gateway.api_errors import api_error_of
from flywheel.gateway.arms import Arm
from flywheel.gateway.batching import Batcher
from flywheel.gateway.call_events import Attempt, CallEvents
from flywheel.gateway.rations import DailyRation
from flywheel.gateway.spool import Spool
from flywheel.workload.model import Workload

__all__ = ["SHADOW_OUTCOMES", "ShadowCall", "Shadower"]

SHADOW_OUTCOMES = ("answered", "failed", "busy", "over ration", "not recorded")
_POLL_SECONDS = 0.01


@dataclass(frozen=True)
class ShadowCall:
    """A request to be asked again of a shadow release; ``answered`` is what the caller received."""

    workload: Workload
    batcher: Batcher
    arm: Arm
    text: str
    events: CallEvents
    answered: Attempt


class Shadower:
    """Ask shadow releases from a thread of its own.

    Args:
        spool: gets the events.
        ration: how many copies a day each workload may still cost.
        count: is called with the workload and one of `SHADOW_OUTCOMES` for every copy.
        patience_seconds: how long a copy waits for the server to have room.
        most_waiting: how many copies may wait.
    """

    def __init__(
        self,
        spool: Spool,
        ration: DailyRation,
        count: Callable[[str, str], None],
        *,
        patience_seconds: float = 5.0,
        most_waiting: int = 64,
    ) -> None:
        self._spool = spool
        self._ration = ration
        self._count = count
        self._patience = patience_seconds
        self._queue: queue.Queue[ShadowCall] = queue.Queue(most_waiting)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)

    @property
    def waiting(self) -> int:
        """Number of copies that wait."""
        return self._queue.qsize()

    def start(self) -> None:
        """Start asking."""
        self._thread.start()

    def offer(self, call: ShadowCall) -> None:
        """Take a copy without waiting; it is dropped where too many wait."""
        try:
            self._queue.put_nowait(call)
        except queue.Full:
            self._count(call.workload.id, "busy")

    def close(self) -> None:
        """End after the copy that is under way; copies that wait are dropped."""
        self._end.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                call = self._queue.get(timeout=_POLL_SECONDS * 10)
            except queue.Empty:
                continue
            self._count(call.workload.id, self._settle(call))

    def _settle(self, call: ShadowCall) -> str:
        if not self._waits_for_room(call.batcher):
            return "busy"
        try:
            if not self._ration.take(call.workload):
                return "over ration"
            attempt = _ask(call)
            record = call.events.record(attempt, shadow_of=call.answered.inference_id)
            self._spool.keep([record]).result()
        except FlywheelError:
            # A copy is worth less than the room of a caller's answer: it is counted and not kept.
            return "not recorded"
        return "answered" if attempt.failure is None else "failed"

    def _waits_for_room(self, batcher: Batcher) -> bool:
        deadline = time.monotonic() + self._patience
        while batcher.is_busy:
            if time.monotonic() >= deadline or self._end.wait(_POLL_SECONDS):
                return False
        return True


def _ask(call: ShadowCall) -> Attempt:
    started = time.perf_counter()
    inference_id = call.events.next_id()
    try:
        result = call.batcher.ask_now(call.arm, call.text)
    except Exception as error:  # noqa: BLE001 - a thread that ended would ask for nobody any more
        failure = api_error_of(error)
        seconds = time.perf_counter() - started
        return Attempt(call.arm, inference_id, seconds, failure=failure)
    return Attempt(call.arm, inference_id, time.perf_counter() - started, result)

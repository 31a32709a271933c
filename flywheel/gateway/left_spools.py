"""`claim_place` and `LeftSpools`: several gateway processes on one home, each with a spool of its own.

What a process that ended left in its spool is sent by one that runs, whoever is first.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flywheel.errors import ConcurrencyError, FlywheelError
from flywheel.gateway.shipping import Shipper
from flywheel.gateway.spool import Spool
from flywheel.io.lock import exclusive
from flywheel.ports.event_log import EventLog

__all__ = ["SPOOL_FILE", "LeftSpools", "claim_place"]

SPOOL_FILE = "spool.db"
_LOCK_FILE = "gateway.lock"
_MOST_PROCESSES = 64
_PAUSE_SECONDS = 2.0


@contextmanager
def claim_place(folder: Path) -> Iterator[Path]:
    """Hold a folder of this process's own while the block runs: the first that nobody holds.

    Args:
        folder: of the home's gateways; it is the first process's own.

    Raises:
        ConcurrencyError: 64 processes serve this home already.
    """
    for number in range(1, _MOST_PROCESSES + 1):
        place = folder if number == 1 else folder / f"process-{number}"
        with _held(place) as held:
            if held:
                yield place
                return
    raise ConcurrencyError(
        f"{_MOST_PROCESSES} gateway processes serve {folder.parent} already.",
        next_step="end one of them, or give others a home of their own",
    )


class LeftSpools:
    """Send what ended processes left, from a thread of its own.

    A process that is killed while it sends leaves events that are sent again; an event that is sent
    twice counts once.

    Args:
        folder: of the home's gateways.
        log: where the events go.
        capacity_bytes: of a spool.
    """

    def __init__(self, folder: Path, log: EventLog, *, capacity_bytes: int) -> None:
        self._folder = folder
        self._log = log
        self._capacity = capacity_bytes
        self._failure: str | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="left-spools", daemon=True)

    @property
    def failure(self) -> str | None:
        """Why what was left could not be sent last; None where there is no such reason."""
        return self._failure

    def start(self) -> None:
        """Start looking."""
        self._thread.start()

    def close(self) -> None:
        """Stop after the batch that is under way."""
        self._end.set()
        if self._thread.ident is not None:
            self._thread.join()

    def send(self) -> int:
        """Send what is in spools that no process holds, and return how many events that were."""
        sent = 0
        for spool in sorted(self._folder.rglob(SPOOL_FILE)):
            with _held(spool.parent) as held:
                if held:  # else its process runs, this one among them
                    sent += self._empty(spool)
        return sent

    def _empty(self, file: Path) -> int:
        spool, sent = Spool(file, capacity_bytes=self._capacity), 0
        try:
            shipper = Shipper(spool, self._log)
            while not self._end.is_set() and (count := shipper.ship()):
                sent += count
        finally:
            spool.close()
        return sent

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                self.send()
            except FlywheelError as error:
                self._failure = error.message
            else:
                self._failure = None
            self._end.wait(_PAUSE_SECONDS)


@contextmanager
def _held(place: Path) -> Iterator[bool]:
    # Holds a process's folder for the block; False where another process holds it.
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(place / _LOCK_FILE, wait=False))
        except ConcurrencyError:
            held = False
        else:
            held = True
        yield held

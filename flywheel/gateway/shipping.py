"""`Shipper`: moves events from the spool to the event log, in order, until the log has them.

A record leaves the spool after the log acknowledged it. Killed between the two, the next start
sends it again, and ingest counts the second event of an id as a duplicate.
"""

import threading
from collections.abc import Sequence

from flywheel.errors import DataError, FlywheelError
from flywheel.gateway.spool import Spool, SpooledRecord
from flywheel.ports.event_log import EventLog

__all__ = ["Shipper"]

_BATCH = 500
_IDLE_SECONDS = 0.2
_RETRY_SECONDS = 1.0


class Shipper:
    """Send what the spool holds from a thread of its own.

    Args:
        spool: where events wait.
        log: where they go.
    """

    def __init__(self, spool: Spool, log: EventLog) -> None:
        self._spool = spool
        self._log = log
        self._end = threading.Event()
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._run, name="shipper", daemon=True)

    @property
    def failure(self) -> str | None:
        """Why the newest send failed; None while the log accepts events."""
        return self._failure

    def start(self) -> None:
        """Start sending."""
        self._thread.start()

    def close(self) -> None:
        """Stop once what waits is sent; what a log that is away does not take stays in the spool."""
        self._end.set()
        if self._thread.ident is not None:
            self._thread.join()
        # Where this process was scaled away, nobody opens its spool for days.
        while self._failure is None and self._ship_once():
            pass

    def ship(self) -> int:
        """Send one batch and return how many records left the spool."""
        if not self._spool.depth:
            return 0  # without opening the file
        records = self._spool.oldest(_BATCH)
        for topic in dict.fromkeys(record.topic for record in records):
            self._send(topic, [record for record in records if record.topic == topic])
        return len(records)

    def _send(self, topic: str, records: Sequence[SpooledRecord]) -> None:
        try:
            self._log.append(topic, [(record.key, record.value) for record in records])
        except DataError as error:
            if len(records) == 1:
                self._spool.set_aside(records[0], error.message)
                return
            for record in records:
                self._send(topic, [record])
        else:
            self._spool.forget(records)

    def _run(self) -> None:
        while not self._end.is_set():
            sent = self._ship_once()
            if self._failure is not None:
                self._end.wait(_RETRY_SECONDS)
            elif sent < _BATCH:
                self._end.wait(_IDLE_SECONDS)

    def _ship_once(self) -> int:
        try:
            sent = self.ship()
        except FlywheelError as error:
            self._failure = error.message
            return 0
        self._failure = None
        return sent

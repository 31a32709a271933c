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
        """Stop after the batch that is under way; what waits stays in the spool."""
        self._end.set()
        self._thread.join()

    def ship(self) -> int:
        """Send one batch and return how many records left the spool."""
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
            try:
                sent = self.ship()
            except FlywheelError as error:
                self._failure = error.message
                self._end.wait(_RETRY_SECONDS)
            else:
                self._failure = None
                if sent < _BATCH:
                    self._end.wait(_IDLE_SECONDS)

"""`LeaseWatch`: on the worker, whether somebody still asks for the training of a job."""

import time

from pydantic import ValidationError

from flywheel.errors import TransientError
from flywheel.train.launch.exchange import Exchange
from flywheel.train.launch.ray_protocol import Lease

__all__ = ["LeaseWatch"]


class LeaseWatch:
    """Whether somebody still waits for a job, by this machine's clock alone; ``why`` says why not."""

    def __init__(self, exchange: Exchange, run: str, submission: str, seconds: float) -> None:
        self._exchange, self._path, self._submission = exchange, f"{run}/lease.json", submission
        self._seconds = seconds
        self._pause = min(10.0, seconds / 5)
        self._beat = -1
        self._changed = self._looked = time.monotonic()
        self.why = ""

    def held(self) -> bool:
        """Check the lease, not at every call, and return whether to continue."""
        now = time.monotonic()
        if now - self._looked < self._pause:
            return True
        self._looked = now
        lease = self._read()
        if lease is not None and lease.submission != self._submission:
            self.why = f"{lease.submission} has taken its place."
            return False
        if lease is not None and lease.beat != self._beat:
            self._beat, self._changed = lease.beat, now
        self.why = f"No process has asked for it for {self._seconds:g} s."
        return now - self._changed < self._seconds

    def _read(self) -> Lease | None:
        try:
            return Lease.model_validate(self._exchange.read_json(self._path))
        except (ValidationError, TransientError):
            return None

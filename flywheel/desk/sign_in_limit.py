"""`SignInLimit`: how often one address may try to sign in."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from flywheel.io.rate_limit import RateLimit

__all__ = ["SignInLimit"]

_ADDRESSES = 1000


class SignInLimit:
    """A bucket of attempts per address; the least recent address is forgotten first.

    Args:
        per_minute: attempts that come back in a minute.
        burst: attempts at once.
        monotonic: seconds that never go back.
    """

    def __init__(
        self,
        per_minute: float = 6.0,
        burst: int = 10,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second, self._burst, self._monotonic = per_minute / 60, burst, monotonic
        self._limits: OrderedDict[str, RateLimit] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, address: str) -> float:
        """Take one attempt and return 0, or return the seconds until the next is allowed."""
        with self._lock:
            limit = self._limits.pop(address, None)
            if limit is None:
                limit = RateLimit(self._per_second, self._burst, self._monotonic)
            self._limits[address] = limit
            if len(self._limits) > _ADDRESSES:
                self._limits.popitem(last=False)
            return limit.wait()

"""`KeyLimits`: how much a key may use in a day and at a time, beside its rate.

Tokens of a day (UTC) are those of all processes of the gateway, so that neither a second process
nor a restart gives anybody a second budget. Requests at a time are those of this process: they
protect it, and a count that others learn of a second later would not.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from flywheel.clock import Clock
from flywheel.gateway.api_errors import ApiError
from flywheel.gateway.key_use import SharedUse
from flywheel.state.api_keys import ApiKey

__all__ = ["KeyLimits"]

_SOON = "1"


class KeyLimits:
    """Bound the tokens and the requests under way of each key; used by one event loop.

    Args:
        clock: tells the day.
        use: counts the tokens of each key.
        at_once: requests of all keys that are answered at a time.
    """

    def __init__(self, clock: Clock, use: SharedUse, *, at_once: int = 256) -> None:
        self._clock = clock
        self._use = use
        self._at_once = at_once
        self._under_way: Counter[str] = Counter()

    @property
    def under_way(self) -> int:
        """Requests that are being answered."""
        return self._under_way.total()

    @contextlib.contextmanager
    def admitted(self, key: ApiKey) -> Iterator[None]:
        """Hold one of the places while a request is answered.

        Raises:
            ApiError: 429 with Retry-After where the day's tokens or all places are used up.
        """
        self._require_tokens(key)
        self._require_place(key)
        self._under_way[key.key_id] += 1
        try:
            yield
        finally:
            self._under_way[key.key_id] -= 1

    def spend(self, key_id: str, tokens: int) -> None:
        """Count the tokens of an answer."""
        self._use.count(key_id, tokens=tokens)

    def _require_tokens(self, key: ApiKey) -> None:
        if key.tokens_per_day is None:
            return
        used = self._use.tokens(key.key_id)
        if used < key.tokens_per_day:
            return
        raise ApiError(
            429,
            "token_budget_exceeded",
            f"The key allows {key.tokens_per_day:,} tokens a day (UTC), and {used:,} are used.",
            headers={"Retry-After": str(self._seconds_left())},
        )

    def _require_place(self, key: ApiKey) -> None:
        most = key.requests_at_once
        if most is not None and self._under_way[key.key_id] >= most:
            raise _busy(f"The key allows {most} requests at a time.")
        if self.under_way >= self._at_once:
            raise _busy(f"{self._at_once} requests are being answered already.")

    def _seconds_left(self) -> int:
        now = self._clock.now().astimezone(UTC)
        tomorrow = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
        return max(1, round((tomorrow - now).total_seconds()))


def _busy(message: str) -> ApiError:
    return ApiError(429, "too_many_requests_at_once", message, headers={"Retry-After": _SOON})

"""`KeyLimits`: how much a key may use in a day and at a time, beside its rate.

Tokens of a day are counted from the call log when the gateway starts, so that a restart gives
nobody a second budget; a day is one in UTC.
"""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

from flywheel.clock import Clock
from flywheel.gateway.api_errors import ApiError
from flywheel.gateway.calls import Call
from flywheel.state.api_keys import ApiKey

__all__ = ["KeyLimits"]

_SOON = "1"


class KeyLimits:
    """Count the tokens and the requests under way of each key; used by one event loop.

    Args:
        clock: tells the day.
        calls: of today, as the call log has them.
        at_once: requests of all keys that are answered at a time.
    """

    def __init__(self, clock: Clock, calls: Iterable[Call] = (), *, at_once: int = 256) -> None:
        self._clock = clock
        self._at_once = at_once
        self._under_way: Counter[str] = Counter()
        self._day = self._today()
        self._tokens: Counter[str] = Counter()
        for call in calls:
            if call.key_id is not None and call.at.astimezone(UTC).date() == self._day:
                self._tokens[call.key_id] += call.prompt_tokens + call.completion_tokens

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
        self._begin_day()
        self._tokens[key_id] += tokens

    def tokens_used(self, key_id: str) -> int:
        """Return the tokens that a key used today."""
        self._begin_day()
        return self._tokens[key_id]

    def _require_tokens(self, key: ApiKey) -> None:
        if key.tokens_per_day is None or self.tokens_used(key.key_id) < key.tokens_per_day:
            return
        raise ApiError(
            429,
            "token_budget_exceeded",
            f"The key allows {key.tokens_per_day:,} tokens a day (UTC), and "
            f"{self._tokens[key.key_id]:,} are used.",
            headers={"Retry-After": str(self._seconds_left())},
        )

    def _require_place(self, key: ApiKey) -> None:
        most = key.requests_at_once
        if most is not None and self._under_way[key.key_id] >= most:
            raise _busy(f"The key allows {most} requests at a time.")
        if self.under_way >= self._at_once:
            raise _busy(f"{self._at_once} requests are being answered already.")

    def _begin_day(self) -> None:
        if (today := self._today()) != self._day:
            self._day = today
            self._tokens.clear()

    def _today(self) -> date:
        return self._clock.now().astimezone(UTC).date()

    def _seconds_left(self) -> int:
        now = self._clock.now().astimezone(UTC)
        tomorrow = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
        return max(1, round((tomorrow - now).total_seconds()))


def _busy(message: str) -> ApiError:
    return ApiError(429, "too_many_requests_at_once", message, headers={"Retry-After": _SOON})

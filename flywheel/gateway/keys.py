"""`KeyRing`: which client a request comes from, and what it may ask.

A key reads ``fw-ID-SECRET``. The state holds the keyed hash of the secret; the ring holds a copy of
all keys that is renewed every second, so that a revoked key stops working within one.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from flywheel.clock import Clock
from flywheel.gateway.api_errors import ApiError
from flywheel.gateway.key_use import SharedUse
from flywheel.io.keyed_hash import keyed_hash
from flywheel.io.rate_limit import RateLimit
from flywheel.io.tokens import is_secret, new_token, split_token
from flywheel.state.api_keys import ApiKey

__all__ = ["KeyRing", "hash_secret", "new_key"]

_PREFIX, _PURPOSE = "fw", "api-key"
_MINUTE = 60.0


def new_key() -> tuple[str, str, str]:
    """Make a key: its id, its secret and the text that a client sends."""
    return new_token(_PREFIX)


def hash_secret(secret: str, hash_key: str) -> str:
    """Return the keyed hash (HMAC-SHA256) that the state keeps of a secret."""
    return keyed_hash(_PURPOSE, secret, hash_key)


class KeyRing:
    """Check the key of each request against a copy of the keys in the state.

    Args:
        read: returns every key; called by `renew`.
        hash_key: key of the hashes.
        clock: tells which keys are expired.
        use: counts the requests of each key with the other processes of the gateway.
        monotonic: seconds that never go back, for rate limits.
    """

    def __init__(
        self,
        read: Callable[[], Sequence[ApiKey]],
        *,
        hash_key: str,
        clock: Clock,
        use: SharedUse,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._hash_key = hash_key
        self._clock = clock
        self._use = use
        self._monotonic = monotonic
        self._keys: dict[str, ApiKey] = {}
        self._limits: dict[str, RateLimit] = {}
        self._used: dict[str, datetime] = {}

    def renew(self) -> None:
        """Read the keys again."""
        self._keys = {key.key_id: key for key in self._read()}

    def used(self) -> dict[str, datetime]:
        """Return when each key was used since the last call, and forget it."""
        used, self._used = self._used, {}
        return used

    def check(self, authorization: str | None) -> ApiKey:
        """Return the key of an ``Authorization: Bearer`` header.

        Raises:
            ApiError: 401 without a valid key, 429 where the key's rate is used up.
        """
        key, secret = self._find(authorization)
        # Compared also where there is no such key, so that the time does not tell.
        expected = key.secret_hash if key else None
        is_right = is_secret(secret, expected, purpose=_PURPOSE, key=self._hash_key)
        now = self._clock.now()
        if key is None or not is_right or not key.is_valid(now):
            raise ApiError(
                401, "invalid_api_key", "The API key is missing, wrong, expired or revoked."
            )
        self._require_rate(key)
        self._used[key.key_id] = now
        return key

    def _find(self, authorization: str | None) -> tuple[ApiKey | None, str]:
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return None, ""
        key_id, secret = split_token(_PREFIX, token)
        return self._keys.get(key_id), secret

    def share_use(self) -> None:
        """Exchange what keys used with the other processes; their requests drain the rates here.

        Raises:
            FlywheelError: the state is away; each process counts alone meanwhile.
        """
        for key_id, requests in self._use.exchange().items():
            key = self._keys.get(key_id)
            if key is not None and key.requests_per_minute is not None:
                self._limit(key_id, key.requests_per_minute).drain(requests)

    def _require_rate(self, key: ApiKey) -> None:
        if key.requests_per_minute is not None:
            wait = self._limit(key.key_id, key.requests_per_minute).wait()
            if wait > 0:
                raise ApiError(
                    429,
                    "rate_limit_exceeded",
                    f"The key allows {key.requests_per_minute} requests a minute.",
                    headers={"Retry-After": str(max(1, round(wait)))},
                )
        self._use.count(key.key_id, requests=1)

    def _limit(self, key_id: str, per_minute: int) -> RateLimit:
        limit = self._limits.get(key_id)
        if limit is None:
            limit = RateLimit(per_minute / _MINUTE, per_minute, self._monotonic)
            limit = self._limits.setdefault(key_id, limit)
        return limit

"""`KeyRing`: which client a request comes from, and what it may ask.

A key reads ``fw-ID-SECRET``. The state holds the keyed hash of the secret; the ring holds a copy of
all keys that is renewed every second, so that a revoked key stops working within one.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from flywheel.clock import Clock
from flywheel.gateway.api_errors import ApiError
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
        monotonic: seconds that never go back, for rate limits.
    """

    def __init__(
        self,
        read: Callable[[], Sequence[ApiKey]],
        *,
        hash_key: str,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._hash_key = hash_key
        self._clock = clock
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

    def _require_rate(self, key: ApiKey) -> None:
        if key.requests_per_minute is None:
            return
        limit = self._limits.get(key.key_id)
        if limit is None:
            per_minute = key.requests_per_minute
            limit = RateLimit(per_minute / _MINUTE, per_minute, self._monotonic)
            self._limits[key.key_id] = limit
        wait = limit.wait()
        if wait > 0:
            raise ApiError(
                429,
                "rate_limit_exceeded",
                f"The key allows {key.requests_per_minute} requests a minute.",
                headers={"Retry-After": str(max(1, round(wait)))},
            )

"""`new_token`, `split_token`, `is_secret` and `token_state`: texts that prove who sends them, kept as keyed hashes.

A token reads ``PREFIX-ID-SECRET``: the id may be shown, the secret is in no store.
"""

import hmac
import secrets
from datetime import datetime
from typing import Literal

from flywheel.io.keyed_hash import keyed_hash

__all__ = ["TokenState", "is_secret", "new_token", "split_token", "token_state"]

TokenState = Literal["valid", "expired", "revoked"]
_PARTS = 3
_NO_HASH = "0" * 64


def new_token(prefix: str) -> tuple[str, str, str]:
    """Make a token: its id, its secret of 256 bits and its text."""
    token_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    return token_id, secret, f"{prefix}-{token_id}-{secret}"


def split_token(prefix: str, text: str) -> tuple[str, str]:
    """Return id and secret of a token's text; both empty where it is not one."""
    parts = text.strip().split("-", 2)
    if len(parts) != _PARTS or parts[0] != prefix:
        return "", ""
    return parts[1], parts[2]


def is_secret(secret: str, expected_hash: str | None, *, purpose: str, key: str) -> bool:
    """Compare a secret with a keyed hash in constant time; None takes as long and is never equal."""
    computed = keyed_hash(purpose, secret, key)
    is_equal = hmac.compare_digest(computed, expected_hash or _NO_HASH)
    return is_equal and expected_hash is not None


def token_state(
    now: datetime, *, expires_at: datetime | None, revoked_at: datetime | None
) -> TokenState:
    """Return what a token is now; one that was revoked stays so when it expires."""
    if revoked_at is not None:
        return "revoked"
    return "expired" if expires_at is not None and now >= expires_at else "valid"

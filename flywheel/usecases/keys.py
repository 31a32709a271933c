"""`create_key`, `list_keys` and `revoke_key`: keys of applications for the gateway."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from flywheel.errors import DataError
from flywheel.io.tokens import TokenState
from flywheel.release.four_eyes import require_person

if TYPE_CHECKING:
    from flywheel.state.api_keys import ApiKey
    from flywheel.wiring import Platform

__all__ = ["KeyBounds", "KeyStatus", "NewKey", "create_key", "list_keys", "revoke_key"]

_LONGEST_NAME = 200  # of a client_id in an event


@dataclass(frozen=True)
class KeyBounds:
    """How much a key may use; None: no limit. A day is one in UTC, tokens are those in and out."""

    requests_per_minute: int | None = None
    tokens_per_day: int | None = None
    requests_at_once: int | None = None


_UNLIMITED = KeyBounds()


@dataclass(frozen=True)
class NewKey:
    """A created key; ``key`` is its text, which is kept nowhere."""

    key_id: str
    client_id: str
    key: str


@dataclass(frozen=True)
class KeyStatus:
    """What is known of a key; no workloads mean all of them."""

    key_id: str
    client_id: str
    state: TokenState
    workloads: tuple[str, ...]
    requests_per_minute: int | None
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    tokens_per_day: int | None
    requests_at_once: int | None


def create_key(
    platform: "Platform",
    client_id: str,
    *,
    person: str,
    workloads: Sequence[str] = (),
    days: int | None = None,
    limits: KeyBounds = _UNLIMITED,
) -> NewKey:
    """Create a key; the state keeps the keyed hash of its secret.

    Raises:
        NotFoundError: a workload does not exist.
        DataError: no event could carry the client's name.
    """
    from flywheel.gateway.keys import hash_secret, new_key

    for workload_id in workloads:
        platform.workload(workload_id)
    actor, _ = require_person(person, "a key", action="Creating a key")
    if not client_id.isprintable() or not client_id.strip() or len(client_id) > _LONGEST_NAME:
        raise DataError(
            "The client's name is empty, too long, or has invisible characters.",
            next_step=f"use 1 to {_LONGEST_NAME} printable characters",
        )
    key_id, secret, text = new_key()
    now = platform.clock.now().astimezone(UTC)
    platform.state.api_keys.create(
        key_id=key_id,
        client_id=client_id,
        secret_hash=hash_secret(secret, platform.settings.hash_key.get_secret_value()),
        workloads=workloads,
        requests_per_minute=limits.requests_per_minute,
        tokens_per_day=limits.tokens_per_day,
        requests_at_once=limits.requests_at_once,
        expires_at=None if days is None else now + timedelta(days=days),
        actor=actor,
    )
    return NewKey(key_id, client_id, text)


def list_keys(platform: "Platform") -> list[KeyStatus]:
    """Return every key, oldest first."""
    now = platform.clock.now()
    return [_status(key, now) for key in platform.state.api_keys.all()]


def revoke_key(platform: "Platform", key_id: str, *, person: str, reason: str) -> KeyStatus:
    """Revoke a key for good; NotFoundError where there is none."""
    actor, text = require_person(person, reason, action="Revoking a key")
    key = platform.state.api_keys.revoke(key_id, actor=actor, reason=text)
    return _status(key, platform.clock.now())


def _status(key: "ApiKey", now: datetime) -> KeyStatus:
    return KeyStatus(
        key_id=key.key_id,
        client_id=key.client_id,
        state=key.state(now),
        workloads=key.workloads,
        requests_per_minute=key.requests_per_minute,
        created_at=key.created_at,
        created_by=key.created_by,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        last_used_at=key.last_used_at,
        tokens_per_day=key.tokens_per_day,
        requests_at_once=key.requests_at_once,
    )

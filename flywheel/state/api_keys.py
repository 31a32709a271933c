"""Keys of applications for the gateway: `ApiKeys` keeps their hashes, scopes and expiry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update

from flywheel.clock import Clock
from flywheel.errors import NotFoundError
from flywheel.io.tokens import TokenState, token_state
from flywheel.state.audit import Audit
from flywheel.state.database import Database
from flywheel.state.schema import api_keys

__all__ = ["ApiKey", "ApiKeys"]


@dataclass(frozen=True)
class ApiKey:
    """One client's key; ``workloads`` empty means all of them."""

    key_id: str
    client_id: str
    secret_hash: str
    workloads: tuple[str, ...]
    requests_per_minute: int | None
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    tokens_per_day: int | None = None
    requests_at_once: int | None = None

    def is_valid(self, now: datetime) -> bool:
        """Return whether the key is neither revoked nor expired."""
        return self.state(now) == "valid"

    def state(self, now: datetime) -> TokenState:
        """Return whether the key is valid, expired or revoked."""
        return token_state(now, expires_at=self.expires_at, revoked_at=self.revoked_at)

    def allows(self, workload_id: str) -> bool:
        """Return whether the key's scope has the workload."""
        return not self.workloads or workload_id in self.workloads


class ApiKeys:
    """Read and write the table ``api_keys``."""

    def __init__(self, database: Database, clock: Clock, audit: Audit) -> None:
        self._database = database
        self._clock = clock
        self._audit = audit

    def create(  # noqa: PLR0913 - the columns of a key
        self,
        *,
        key_id: str,
        client_id: str,
        secret_hash: str,
        workloads: Sequence[str],
        requests_per_minute: int | None,
        expires_at: datetime | None,
        actor: str,
        tokens_per_day: int | None = None,
        requests_at_once: int | None = None,
    ) -> ApiKey:
        """Record a new key, in the audit as well."""
        row = {
            "key_id": key_id,
            "client_id": client_id,
            "secret_hash": secret_hash,
            "workloads": list(workloads),
            "requests_per_minute": requests_per_minute,
            "tokens_per_day": tokens_per_day,
            "requests_at_once": requests_at_once,
            "created_at": self._clock.now(),
            "created_by": actor,
            "expires_at": expires_at,
            "revoked_at": None,
            "last_used_at": None,
        }
        facts = {"client_id": client_id, "workloads": list(workloads)}
        with self._database.write() as connection:
            connection.execute(insert(api_keys).values(row))
            self._audit.append("key.created", f"key/{key_id}", actor, facts)
        return self.get(key_id)

    def all(self) -> list[ApiKey]:
        """Return every key, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(api_keys).order_by(api_keys.c.created_at, api_keys.c.key_id)
            ).mappings()
            return [ApiKey(**{**row, "workloads": tuple(row["workloads"])}) for row in rows]

    def get(self, key_id: str) -> ApiKey:
        """Return one key; NotFoundError names those that exist."""
        keys = {key.key_id: key for key in self.all()}
        if key_id not in keys:
            raise NotFoundError(
                f"There is no key {key_id}.",
                next_step=f"choose one of: {', '.join(keys) or 'none was created'}",
            )
        return keys[key_id]

    def revoke(self, key_id: str, *, actor: str, reason: str) -> ApiKey:
        """Revoke a key for good; a revoked one stays as it is."""
        with self._database.write() as connection:
            if self.get(key_id).revoked_at is None:
                connection.execute(
                    update(api_keys)
                    .where(api_keys.c.key_id == key_id)
                    .values(revoked_at=self._clock.now())
                )
                self._audit.append("key.revoked", f"key/{key_id}", actor, {"reason": reason})
        return self.get(key_id)

    def mark_used(self, moments: Mapping[str, datetime]) -> None:
        """Record when keys were last used."""
        with self._database.write() as connection:
            for key_id, moment in moments.items():
                connection.execute(
                    update(api_keys).where(api_keys.c.key_id == key_id).values(last_used_at=moment)
                )

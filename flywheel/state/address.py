"""Where a state database is: its URL, read once, and a name for it that tells no password."""

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from flywheel.errors import ConfigurationError

__all__ = ["StateAddress", "parse_address"]

_EXAMPLES = "for example sqlite:////folder/state.db or postgresql://user:password@host:5432/name"
_POSTGRES = ("postgresql", "postgres")


@dataclass(frozen=True)
class StateAddress:
    """A state database: ``place`` is for people, ``url`` for SQLAlchemy."""

    place: str
    is_sqlite: bool
    url: URL = field(repr=False)

    @property
    def file(self) -> Path:
        """The file of an SQLite state."""
        return Path(str(self.url.database))

    def masked(self, text: object) -> str:
        """Return what a driver said on one line, without the password if it should be in there."""
        line = " ".join(str(text).split())
        password = self.url.password
        return line.replace(str(password), "***") if password else line


def parse_address(url: str) -> StateAddress:
    """Read the URL of a state database, SQLite or PostgreSQL.

    Raises:
        ConfigurationError: it is not such a URL, or what it names cannot hold a state.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Not chained: what could not be parsed may hold a password.
        raise ConfigurationError(
            "The state URL is not a database URL.", next_step=_EXAMPLES
        ) from None
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        return _sqlite(parsed)
    if kind not in _POSTGRES:
        raise ConfigurationError(
            f"The state cannot live in {kind}: it is SQLite or PostgreSQL.", next_step=_EXAMPLES
        )
    if "@" in (parsed.host or ""):
        raise ConfigurationError(
            "The state URL has an @ in its user or password.", next_step="write it as %40"
        )
    if not parsed.database:
        raise ConfigurationError("The state URL names no database.", next_step=_EXAMPLES)
    host = parsed.host or parsed.query.get("host") or "localhost"
    place = f"PostgreSQL database {parsed.database} at {host}:{parsed.port or 5432}"
    # Named here, since SQLAlchemy's default driver changes with its version.
    return StateAddress(place, is_sqlite=False, url=parsed.set(drivername="postgresql+psycopg2"))


def _sqlite(parsed: URL) -> StateAddress:
    if parsed.database in {None, "", ":memory:"}:
        raise ConfigurationError(
            "The state cannot live in memory: other processes must see it.",
            next_step="give a file: sqlite:////folder/state.db",
        )
    return StateAddress(f"SQLite file {parsed.database}", is_sqlite=True, url=parsed)

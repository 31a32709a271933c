"""What a database driver raises, in Flywheel's own words; nothing of a driver gets past here."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import ExceptionContext
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from flywheel.errors import (
    ConcurrencyError,
    ConfigurationError,
    FlywheelError,
    StorageError,
    UnavailableError,
)
from flywheel.state.address import StateAddress

__all__ = ["is_away", "refuse_unfit_values", "translated"]

_UNIQUE = ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "23505")
# PostgreSQL's classes of error that pass by themselves: connection, resources, operator at work;
# and single codes: lock timeout, idle transaction ended.
_PASSING = ("08", "53", "57", "55P03", "25P03", "58030")
_RACE = ("40", "23505")
# Wrong login, unknown database, no privilege, a standby that takes no writes.
_REFUSED = ("28", "3D000", "42501", "25006")
_STANDBY = "during recovery"
# libpq gives no code when the connection itself is refused, only words.
_REFUSED_WORDS = ("authentication failed", "does not exist", "pg_hba.conf", "no password supplied")


@contextmanager
def translated(address: StateAddress) -> Iterator[None]:
    """Raise a FlywheelError in place of whatever the driver raises inside."""
    try:
        yield
    except PoolTimeoutError as error:
        raise UnavailableError(
            f"All connections of this process to the {address.place} are in use.",
            next_step="try again; if it stays so, look for a transaction that does not end",
        ) from error
    except StatementError as error:
        raise _failure(error, address) from error


def refuse_unfit_values(context: ExceptionContext) -> FlywheelError | None:
    """Translate what a driver says of a value before it sends it; SQLAlchemy would pass it on.

    A listener for the engine's ``handle_error``.
    """
    if isinstance(context.original_exception, ValueError):
        return _unfit_value(str(context.original_exception))
    return None


def is_away(error: DBAPIError) -> bool:
    """Return whether a connection failed because the server is away, not because it refused."""
    message = str(error.orig)
    return isinstance(error, OperationalError) and not any(w in message for w in _REFUSED_WORDS)


def _failure(error: StatementError, address: StateAddress) -> FlywheelError:
    if isinstance(error.orig, FlywheelError):
        return error.orig
    message = address.masked(error.orig)
    if not isinstance(error, DBAPIError):
        return _unfit_value(message)
    if isinstance(error, IntegrityError):
        return _broken_rule(error, message)
    return (
        _sqlite(error, message, address)
        if address.is_sqlite
        else _postgres(error, message, address)
    )


def _unfit_value(message: str) -> StorageError:
    return StorageError(
        f"A value cannot be kept in the state database: {message}",
        next_step="look at the value: JSON holds no NaN, a text no zero byte",
    )


def _broken_rule(error: IntegrityError, message: str) -> FlywheelError:
    if _code(error.orig) in _UNIQUE:
        return ConcurrencyError(
            f"Another process wrote the same row at the same moment: {message}",
            next_step="try again",
        )
    return StorageError(
        f"The state database forbids it: {message}",
        next_step="look at the row that is named; the database itself keeps this rule",
    )


def _sqlite(error: DBAPIError, message: str, address: StateAddress) -> FlywheelError:
    if isinstance(error, OperationalError):
        if "no such" in message:
            return _older_schema(message)
        if "readonly database" in message:
            return StorageError(
                f"The state database may not be written ({address.place}).",
                next_step="look at the mount and the permissions; commands that only look work",
            )
        return UnavailableError(
            f"The state database did not answer ({address.place}): {message}",
            next_step="try again; if it stays so, look for a process that holds it or a full disk",
        )
    return StorageError(
        f"The state database is not usable ({address.place}): {message}",
        next_step="restore it from a backup, or point FLYWHEEL_STATE_URL at another one",
    )


def _postgres(error: DBAPIError, message: str, address: StateAddress) -> FlywheelError:
    code = _code(error.orig)
    if code.startswith(("42P01", "42703")):
        return _older_schema(message)
    words = (_STANDBY,) if code else _REFUSED_WORDS
    if code.startswith(_REFUSED) or any(word in message for word in words):
        return ConfigurationError(
            f"The {address.place} does not let Flywheel in: {message}",
            next_step="look at the user, password and database in FLYWHEEL_STATE_URL; the user "
            "needs CREATE on the schema, the server must take writes",
        )
    if code.startswith(_RACE):
        return ConcurrencyError(
            f"Another process changed the same rows at the same moment: {message}",
            next_step="try again",
        )
    if error.connection_invalidated or not code or code.startswith(_PASSING):
        return UnavailableError(
            f"The state database did not answer ({address.place}): {message}",
            next_step="try again; if it stays so, see that the server runs "
            "(`flywheel services status`), has free connections and disk",
        )
    return StorageError(
        f"The state database refused ({address.place}): {message}",
        next_step="look at the value or the schema that is named",
    )


def _older_schema(message: str) -> StorageError:
    return StorageError(
        f"The state database lacks a part of its schema: {message}",
        next_step="bring it to the newest version with `flywheel state upgrade`",
    )


def _code(original: Any) -> str:
    name = getattr(original, "sqlite_errorname", None) or getattr(original, "pgcode", None)
    return name or ""

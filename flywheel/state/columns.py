"""Columns of the state's tables: moments with a time zone, names, texts, JSON."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    String,
    Text,
)
from sqlalchemy.types import TypeDecorator

from flywheel.errors import StorageError

__all__ = [
    "UtcDateTime",
    "cycle_reference",
    "json_column",
    "moment_column",
    "name_column",
    "text_column",
]


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware in Python, UTC in the database, whatever the dialect keeps of zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive moments and write the others in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise StorageError(
                f"{value.isoformat()} has no time zone.", next_step="pass an aware datetime"
            )
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> datetime | None:
        """Give the moment its zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def name_column(name: str, *, optional: bool = False, key: bool = False) -> Column[Any]:
    """Return a column of a name, of at most 200 characters."""
    return Column(name, String(200), nullable=optional, primary_key=key)


def moment_column(name: str, *, optional: bool = False) -> Column[Any]:
    """Return a column of a moment."""
    return Column(name, UtcDateTime, nullable=optional)


def text_column(name: str) -> Column[Any]:
    """Return a column of a text, empty by default."""
    return Column(name, Text, nullable=False, server_default="")


def json_column(name: str) -> Column[Any]:
    """Return a column of a JSON value."""
    return Column(name, JSON, nullable=False)


def cycle_reference(table: str = "cycles") -> ForeignKeyConstraint:
    """Return the reference to a cycle, or to what a table keeps of one."""
    columns = ["workload_id", "cycle"]
    return ForeignKeyConstraint(columns, [f"{table}.{column}" for column in columns])

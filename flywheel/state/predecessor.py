"""A new state beside an old one that was not brought along would forget every cycle and champion."""

from sqlalchemy import func, select

from flywheel.errors import ConfigurationError
from flywheel.state.address import parse_address
from flywheel.state.database import Database
from flywheel.state.schema import cycles

__all__ = ["refuse_left_behind"]


def refuse_left_behind(database: Database, before: str) -> None:
    """Refuse a state without a cycle while the one that was used until now holds some.

    Raises:
        ConfigurationError: the former state was not brought along.
    """
    old = parse_address(before)
    if old.url == database.address.url or not (old.is_sqlite and old.file.is_file()):
        return
    if _cycles(database):
        return
    former = Database(before)
    try:
        left = _cycles(former) if former.revision() is not None else 0
    finally:
        former.close()
    if left:
        raise ConfigurationError(
            f"The {database.address.place} holds no cycle, but the {old.place} holds {left}.",
            next_step="bring it along with `flywheel state copy` (and `flywheel registry copy`), "
            "or move that file away to start from scratch",
        )


def _cycles(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(cycles)).scalar() or 0)

"""`query_error`: what DuckDB says about a query, in the words of the lake's tables and columns."""

import difflib
import re
from collections.abc import Collection, Sequence

import duckdb

from flywheel.errors import DataError, FlywheelError, StorageError
from flywheel.lake.location import LakeLocation
from flywheel.lake.tables import TABLES
from flywheel.lake.views import EXTRA_VIEWS

__all__ = [
    "could_not_read",
    "no_table",
    "query_error",
    "read_error",
    "require_queries",
    "view_names",
]

# SHOW, DESCRIBE and SUMMARIZE are SELECT statements; a PIVOT is several.
_QUERIES = (
    duckdb.StatementType.SELECT,
    duckdb.StatementType.EXPLAIN,
    duckdb.StatementType.MULTI,
)
_PYTHON_READ = re.compile(
    r"Traceback \(most recent call last\).*\b(OSError|ConnectionError)\b", re.DOTALL
)
_NO_TABLE = re.compile(r"Table with name (.+?) does not exist")
_NO_COLUMN = re.compile(
    r"Referenced column \"(.+?)\" not found|does not have a column named \"(.+?)\""
)


def could_not_read(error: duckdb.Error, location: LakeLocation) -> bool:
    """Return whether a query failed because a file could not be read, and not by what it says.

    What reads an object store through fsspec is Python: DuckDB passes its error on as a text.
    """
    if isinstance(error, duckdb.IOException):
        return True
    return location.is_remote and _PYTHON_READ.search(str(error)) is not None


def read_error(error: Exception, location: LakeLocation) -> FlywheelError:
    """Return the error of a file of the lake that could not be read."""
    if location.is_remote:
        return location.error("The lake could not be read", error)
    return StorageError(
        f"The lake could not be read: {error}",
        next_step="run it again; if it fails again, check the disk",
    )


def view_names() -> list[str]:
    """Name everything that a query may read: the tables, then the views over them."""
    return [*TABLES, *EXTRA_VIEWS]


def query_error(error: duckdb.Error, words: Collection[str]) -> DataError:
    """Return the error that names what a query got wrong and what there is instead.

    Args:
        error: as DuckDB raised it.
        words: the words of the query, which tell the tables that it reads.
    """
    text = str(error)
    table = _NO_TABLE.search(text)
    if table is not None:
        return no_table(table[1].strip('"'))
    column = _NO_COLUMN.search(text)
    if column is None:
        return DataError(f"The lake query failed: {text}")
    name = column[1] or column[2]
    tables = [one for one in view_names() if one in words]
    columns = {one: _columns(one) for one in tables}
    closest = _closest(name, [each for names in columns.values() for each in names])
    listed = "; ".join(f"{one} has {', '.join(names)}" for one, names in columns.items())
    return DataError(
        f"The lake query failed: there is no column {name!r} in {' or '.join(tables) or 'it'}.",
        next_step=f"{closest}{listed}" if listed else f"see what DuckDB says: {text}",
    )


def require_queries(statements: Sequence[duckdb.Statement]) -> None:
    """Raise DataError for a statement that would change something, such as DROP or COPY."""
    for statement in statements:
        if statement.type not in _QUERIES:
            raise DataError(
                f"A query of the lake reads, and this one is a {statement.type.name} statement.",
                next_step="write a SELECT; tables of your own belong into a connection of your own",
            )


def no_table(name: str) -> DataError:
    """Return the error of a name that is not a table or view of the lake."""
    return DataError(
        f"There is no table {name!r} in the lake.",
        next_step=f"{_closest(name, view_names())}the lake has {', '.join(view_names())}",
    )


def _columns(name: str) -> list[str]:
    if name in TABLES:
        return list(TABLES[name].schema.names)
    (table,) = EXTRA_VIEWS[name][0]
    extra = ["duplicate"] if name == "all_inferences" else []
    return [*TABLES[table].schema.names, *extra]


def _closest(name: str, names: Collection[str]) -> str:
    close = difflib.get_close_matches(name.lower(), names, n=1)
    return f"did you mean {close[0]!r}? " if close else ""

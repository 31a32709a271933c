"""`tables` and `describe`: what the lake holds, for people who query it."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from flywheel.lake.meanings import TABLE_MEANINGS, column_meaning
from flywheel.lake.query_errors import no_table, view_names
from flywheel.lake.tables import TABLES

__all__ = ["describe", "tables"]

Rows = Callable[[str], list[dict[str, Any]]]
"""SQL -> one dict a row."""


def tables(rows: Rows) -> pa.Table:
    """List the tables and views: ``name``, ``kind``, ``rows`` and ``meaning``."""
    counts = " UNION ALL ".join(
        f"SELECT '{name}' AS name, count(*) AS rows FROM {name}"  # noqa: S608 - declared names
        for name in TABLES
    )
    counted = {row["name"]: row["rows"] for row in rows(counts)}
    return pa.table(
        {
            "name": view_names(),
            "kind": ["table" if name in TABLES else "view" for name in view_names()],
            "rows": pa.array([counted.get(name) for name in view_names()], pa.int64()),
            "meaning": [TABLE_MEANINGS[name] for name in view_names()],
        }
    )


def describe(rows: Rows, name: str) -> pa.Table:
    """Describe a table or view: ``column``, ``type`` (of DuckDB) and ``meaning`` of each column.

    Raises:
        DataError: there is no such table or view.
    """
    if name not in view_names():
        raise no_table(name)
    columns = rows(f"DESCRIBE {name}")
    names = [row["column_name"] for row in columns]
    return pa.table(
        {
            "column": names,
            "type": [row["column_type"] for row in columns],
            "meaning": [column_meaning(name, column) for column in names],
        }
    )

"""`read_arrow`: the rows of a query as an Arrow table, bound once.

``connection.sql(query).to_arrow_table()`` binds a query to learn its columns, and once more to run
it: a third of the processor's time of a query over few rows. DuckDB's public way without it,
``execute``, copies the rows that Arrow gets.
"""

from collections.abc import Mapping

import duckdb
import pyarrow as pa

from flywheel.lake.engine import Parameters

__all__ = ["read_arrow"]

_BATCH_ROWS = 131_072  # as `to_arrow_table` asks for


def read_arrow(
    connection: duckdb.DuckDBPyConnection, sql: str, params: Parameters = None
) -> pa.Table:
    """Run one statement and return its rows.

    Args:
        connection: of DuckDB.
        sql: the statement.
        params: values for ``?`` or ``$name``.

    Raises:
        duckdb.Error: the statement is wrong, is not one, or a file could not be read.
    """
    values: list[object] | dict[str, object] | None = None
    if params is not None:
        values = dict(params) if isinstance(params, Mapping) else list(params)
    result = connection._submit(sql, values, "arrow", _BATCH_ROWS)  # noqa: SLF001 - docs/decisions/private-names.md
    return result.arrow_table()

"""Bring rows into a lake table's columns and types, and conditions into SQL."""

from collections.abc import Mapping
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.errors import DataError
from flywheel.lake.sql_text import quoted
from flywheel.lake.tables import LakeTable

__all__ = ["conform", "equality", "require_equal"]


def conform(table: LakeTable, rows: pa.Table) -> pa.Table:
    """Return rows in the table's columns, order and types; a missing column becomes null.

    Raises:
        DataError: a column is unknown, or its values do not fit the type.
    """
    unknown = sorted(set(rows.column_names) - set(table.schema.names))
    if unknown:
        raise DataError(
            f"The lake table {table.name} has no column {', '.join(unknown)}.",
            next_step=f"use its columns: {', '.join(table.schema.names)}",
        )
    columns = []
    for field in table.schema:
        if field.name not in rows.column_names:
            columns.append(pa.nulls(rows.num_rows, field.type))
            continue
        try:
            columns.append(_cast(rows[field.name], field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(
                f"Column {field.name} of {table.name} does not fit {field.type}: {error}"
            ) from error
    return pa.Table.from_arrays(columns, schema=table.schema)


def _cast(column: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    if column.type == target:
        return column
    if pa.types.is_timestamp(target) and pa.types.is_timestamp(column.type) and not column.type.tz:
        # A naive time would be taken for UTC in silence.
        raise pa.ArrowInvalid("times must carry a time zone")
    return column.cast(target)


def equality(table: LakeTable, where: Mapping[str, object]) -> str:
    """Write ``where`` as a condition of Delta's SQL.

    Raises:
        DataError: ``where`` is empty, names an unknown column or holds an unusual value.
    """
    if not where:
        raise DataError(
            f"Replacing rows of {table.name} needs a condition.",
            next_step="name at least one column and its value",
        )
    unknown = sorted(set(where) - set(table.schema.names))
    if unknown:
        raise DataError(f"The lake table {table.name} has no column {', '.join(unknown)}.")
    return " AND ".join(_term(column, value) for column, value in where.items())


def require_equal(table: LakeTable, rows: pa.Table, where: Mapping[str, object]) -> None:
    """Refuse rows that would not be found again by the condition they are written under.

    Raises:
        DataError: a row differs from ``where`` in a column.
    """
    for column, value in where.items():
        if column not in rows.column_names:
            continue  # equality() names the unknown column
        values = rows[column]
        same = (
            values.is_null() if value is None else pc.equal(values, pa.scalar(value, values.type))
        )
        if rows.num_rows and not pc.all(pc.fill_null(same, False)).as_py():
            raise DataError(
                f"Rows for {table.name} differ from {value!r} in {column}.",
                next_step="replace only the rows that the condition names",
            )


def _term(column: str, value: object) -> str:
    name = f'"{column}"'
    if value is None:
        return f"{name} IS NULL"
    if isinstance(value, bool):
        return f"{name} = {str(value).lower()}"
    if isinstance(value, int):
        return f"{name} = {value}"
    if isinstance(value, datetime):
        text = value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return f"{name} = CAST('{text}' AS TIMESTAMP WITH TIME ZONE)"
    if isinstance(value, date):
        return f"{name} = CAST('{value.isoformat()}' AS DATE)"
    if isinstance(value, str):
        return f"{name} = {quoted(value)}"
    raise DataError(f"Column {column} cannot be compared with a {type(value).__name__}.")

"""`statement`: a query over the lake as one statement of Spark, with the views that it reads.

Views are common table expressions of the statement: nothing of a query stays on the server, and all
tables are read at the versions that the caller saw.
"""

# ruff: noqa: S608 - every name in these queries comes from the declared tables

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from flywheel.lake.location import LakePath
from flywheel.lake.spark.dialect import parse, to_spark
from flywheel.lake.tables import TABLES
from flywheel.lake.views import EXTRA_VIEWS, reader_view, stored_columns, stored_view

if TYPE_CHECKING:
    from sqlglot import exp

__all__ = ["LATER_EVENTS_QUERY", "TableVersion", "statement"]

# Of all events whose id came before, as `LaterEvents` finds them file by file.
LATER_EVENTS_QUERY = """
SELECT topic_id, "partition", "offset" FROM (
    SELECT topic_id, "partition", "offset", row_number() OVER (
        PARTITION BY workload_id, inference_id
        ORDER BY landed_at, topic_id, "partition", "offset") AS turn
    FROM stored.inferences)
WHERE turn > 1 AND topic_id IS NOT NULL
"""
_LATER_WORD = "later_events"
_LATER = f"stored_{_LATER_WORD}"
_BY_TABLE = {name: sources[0] for name, (sources, _) in EXTRA_VIEWS.items()}


@dataclass(frozen=True)
class TableVersion:
    """A table as a query sees it: where it lies, which version, the columns that it has on disk."""

    folder: LakePath
    version: int
    columns: tuple[str, ...]


def statement(
    sql: str,
    params: Mapping[str, Any],
    tables: Mapping[str, TableVersion | None],
    *,
    later_events: str | None = None,
    event_days: Collection[date] | None = None,
) -> str:
    """Write a query in DuckDB's SQL over the lake's tables and views as one statement of Spark.

    Args:
        sql: the query.
        params: its named parameters.
        tables: those that it reads, ``erasures`` always among them; None: never written.
        later_events: Spark's name of the table of positions of repeated ids; None: not read.
        event_days: days of the events that are read; None: of any day.
    """
    views = [(f"stored_{name}", _stored(name, table)) for name, table in tables.items()]
    if later_events is not None:
        views.append((_LATER, f"SELECT * FROM {later_events}"))
    erased = tables["erasures"] is not None
    for name in tables:
        rows = f"SELECT * FROM stored.{name}"
        if name == "inferences" and event_days is not None:
            rows += f" WHERE {_of_days(event_days)}"
        reader = reader_view(TABLES[name], anyone_erased=erased, rows=rows)
        views.append((name, to_spark(parse(reader), {})))
    for name, (sources, view) in EXTRA_VIEWS.items():
        if set(sources) <= set(tables) and (later_events is not None or _LATER_WORD not in view):
            views.append((name, _extra(name, view)))
    query = parse(sql)
    used = _used(query, dict(views))
    return _with_views(to_spark(query, params), [view for view in views if view[0] in used])


def _source(table: TableVersion) -> str:
    """Name one version of a Delta table by its folder."""
    folder = str(table.folder).replace("`", "``")
    return f"delta.`{folder}` VERSION AS OF {table.version}"


def _stored(name: str, table: TableVersion | None) -> str:
    if table is None:
        return to_spark(parse(stored_view(TABLES[name], [])), {})
    columns = stored_columns(TABLES[name], table.columns)
    rows = to_spark(parse(f"SELECT {columns} FROM on_disk"), {})
    return f"WITH on_disk AS (SELECT * FROM {_source(table)}) {rows}"


def _of_days(event_days: Collection[date]) -> str:
    days = ", ".join(f"DATE '{day.isoformat()}'" for day in sorted(event_days))
    return f"day IN ({days})" if days else "false"


def _extra(name: str, view: str) -> str:
    # Spark ranks in a subquery: the rank must not become a column of the view.
    table = TABLES[_BY_TABLE[name]]
    columns = [*table.schema.names, *(["duplicate"] if name == "all_inferences" else [])]
    listed = ", ".join(f"`{column}`" for column in columns)
    return f"SELECT {listed} FROM ({to_spark(parse(view), {})})"


def _used(query: "exp.Query", views: Mapping[str, str]) -> set[str]:
    # Which views a query reads, by itself and through others.
    import sqlglot
    from sqlglot import exp

    def named(tree: exp.Expr) -> set[str]:
        tables = tree.find_all(exp.Table)
        return {f"{one.db}_{one.name}" if one.db else one.name for one in tables} & views.keys()

    used: set[str] = set()
    waiting = named(query)
    while waiting:
        name = waiting.pop()
        used.add(name)
        waiting |= named(sqlglot.parse_one(views[name], read="spark")) - used
    return used


def _with_views(sql: str, views: list[tuple[str, str]]) -> str:
    listed = ", ".join(f"{name} AS ({view})" for name, view in views)
    if not views:
        return sql
    own = sql.removeprefix("WITH ")
    return f"WITH {listed}{' ' if own == sql else ', '}{own}"

"""The lake as DuckDB sees it: one view per table, without erased subjects, and a few more.

``<table>`` is what every reader uses; ``stored.<table>`` is what lies on disk, erased subjects
included, for the ledger and for maintenance.
"""

# ruff: noqa: S608 - every name in these queries comes from the declared tables

from collections.abc import Collection, Sequence

import pyarrow as pa

from flywheel.lake.sql_text import quoted
from flywheel.lake.tables import TABLES, LakeTable

__all__ = [
    "ANSWERED",
    "EVENT_FIGURES",
    "EXTRA_VIEWS",
    "FAILED",
    "LATER_EVENTS",
    "LATEST_ANNOTATION",
    "LATEST_CORRECTION",
    "NO_DAY",
    "NO_RESPONSE",
    "label_checks_batch",
    "may_leave_out_days",
    "needed_tables",
    "needs_later_events",
    "reader_view",
    "stored_columns",
    "stored_view",
]

# Label checks are adjudications of undisputed labels, in batches of their own.
_LABEL_CHECKS = "-labels"

# Positions of the events whose id came before, in all of history: `LaterEvents` finds them once per
# data file, so that filters and columns of a query are all that decides which files it reads.
LATER_EVENTS = "stored.later_events"
# Counts and bounds of each day's events (`EventFigures`): what is asked of all that ever landed.
EVENT_FIGURES = "stored.event_figures"
_POSITION = """
    later.topic_id = i.topic_id AND later."partition" = i."partition" AND later."offset" = i."offset"
"""
_FIRST = f"SELECT i.* FROM inferences AS i ANTI JOIN {LATER_EVENTS} AS later ON {_POSITION}"

# What a caller received: not the copy that a shadow answered, not an attempt that failed before
# another release answered.
ANSWERED = "shadow_of IS NULL AND route IS DISTINCT FROM 'shadow'"
# An event without an answer that fits the workload.
FAILED = "error IS NOT NULL OR output IS NULL OR output = 'null'"
# An event without a response: the gateway, and who follows the contract, writes null as JSON.
NO_RESPONSE = "response IS NULL OR response = 'null'"
# How Delta writes a missing value of a partition's column into the name of its folder.
NO_DAY = "__HIVE_DEFAULT_PARTITION__"

# Which row of each is the latest. Filters on other rows of a query go before it, by id.
LATEST_CORRECTION = (
    "QUALIFY row_number() OVER (PARTITION BY workload_id, correction_id "
    "ORDER BY version DESC, accepted_at DESC) = 1"
)
LATEST_ANNOTATION = (
    "QUALIFY row_number() OVER (PARTITION BY workload_id, annotation_id "
    "ORDER BY updated_at DESC, seen_at DESC, deleted DESC, version DESC) = 1"
)

# Name -> (tables it reads, query).
EXTRA_VIEWS: dict[str, tuple[tuple[str, ...], str]] = {
    "first_inferences": (
        ("inferences",),
        _FIRST,
    ),
    "answered_inferences": (("inferences",), f"{_FIRST} WHERE {ANSWERED}"),
    "all_inferences": (
        ("inferences",),
        (
            f"SELECT i.*, EXISTS (SELECT 1 FROM {LATER_EVENTS} AS later WHERE {_POSITION}) "
            "AS duplicate FROM inferences AS i"
        ),
    ),
    "latest_corrections": (
        ("corrections",),
        (f"SELECT * FROM corrections {LATEST_CORRECTION}"),
    ),
    "latest_annotations": (
        ("annotations",),
        (f"SELECT * FROM annotations {LATEST_ANNOTATION}"),
    ),
    "label_checks": (
        ("review_items",),
        ("SELECT * FROM review_items WHERE slice = 'adjudication' AND batch_kind = 'labels'"),
    ),
}

# Words of a query that needs the positions to be complete.
_BY_POSITION = frozenset(
    {"first_inferences", "answered_inferences", "all_inferences", "later_events"}
)

# Texts about a person that carry no subject of their own are found through the inference.
_LINKED = ("feedback", "annotations")

# Membership holds no text, and must keep naming the snapshots that saw an erased person.
_WITHOUT_TEXT = ("erasures", "dataset_rows")


def label_checks_batch(period: str) -> str:
    """Name the batch of a period's label checks; the view `label_checks` holds those of all."""
    return f"{period}{_LABEL_CHECKS}"


def needs_later_events(words: Collection[str]) -> bool:
    """Return whether a query over these words asks which events came later."""
    return not _BY_POSITION.isdisjoint(words)


def needed_tables(words: Collection[str], *, anyone_erased: bool) -> list[str]:
    """Name the tables that a query over these words may read."""
    named = set(words)
    tables = {table for name in named & set(EXTRA_VIEWS) for table in EXTRA_VIEWS[name][0]}
    tables |= named & set(TABLES)
    if (anyone_erased and tables & set(_LINKED)) or needs_later_events(words):
        tables.add("inferences")
    return sorted(tables | {"erasures"})


def may_leave_out_days(words: Collection[str], *, anyone_erased: bool) -> bool:
    """Return whether a query over these words reads events through readers' views alone."""
    named = set(words)
    return "stored" not in named and not (anyone_erased and named & set(_LINKED))


def stored_view(
    table: LakeTable,
    files: Sequence[str],
    written: Collection[str] = (),
    *,
    with_file: bool = False,
) -> str:
    """Write the query over a table's files.

    Args:
        table: what readers expect.
        files: its data files; none give no row.
        written: columns that the table on disk has; a younger one is null, or what the table says
            of earlier rows.
        with_file: add the column ``file``: the path that a row is read from.
    """
    if not files:
        columns = ", ".join(_null(field) for field in table.schema)
        file = ", CAST(NULL AS VARCHAR) AS file" if with_file else ""
        return f"SELECT {columns}{file} WHERE false"
    columns = stored_columns(table, written)
    paths = ", ".join(map(quoted, files))
    options = "union_by_name = true, hive_partitioning = false"
    if table.partition_by:
        types = ", ".join(
            f"'{name}': {_sql_type(table.schema.field(name).type)}" for name in table.partition_by
        )
        options = f"union_by_name = true, hive_partitioning = true, hive_types = {{{types}}}"
    if with_file:
        columns, options = f"{columns}, file", f"{options}, filename = 'file'"
    source = f"read_parquet([{paths}], {options})"
    if table.earlier:
        # The table may have a column that none of its files has: an empty append brought it, or
        # the rows that had it were removed.
        younger = ", ".join(_null(table.schema.field(name)) for name in table.earlier)
        source = f"(SELECT * FROM {source} UNION ALL BY NAME SELECT {younger} WHERE false)"
    return f"SELECT {columns} FROM {source}"


def stored_columns(table: LakeTable, written: Collection[str]) -> str:
    """Write the columns of a table as readers expect them, of those that the table on disk has."""
    return ", ".join(_column(table, field, written) for field in table.schema)


def _column(table: LakeTable, field: pa.Field, written: Collection[str]) -> str:
    if field.name in table.earlier:
        return f'coalesce("{field.name}", {table.earlier[field.name]}) AS "{field.name}"'
    return f'"{field.name}"' if field.name in written else _null(field)


def _null(field: pa.Field) -> str:
    return f'CAST(NULL AS {_sql_type(field.type)}) AS "{field.name}"'


def reader_view(table: LakeTable, *, anyone_erased: bool, rows: str = "") -> str:
    """Write the query that leaves out the subjects named in ``erasures``.

    Args:
        table: what readers expect.
        anyone_erased: whether there are such subjects.
        rows: query over what is stored, by default all of it.
    """
    source = f"({rows})" if rows else f"stored.{table.name}"
    base = f"SELECT * FROM {source} AS kept"
    if not anyone_erased or table.name in _WITHOUT_TEXT:
        return base
    if "subject_id" in table.schema.names:
        return (
            f"{base} WHERE NOT EXISTS (SELECT 1 FROM stored.erasures AS e WHERE "
            "e.subject_id = kept.subject_id AND "
            "(e.workload_id IS NULL OR e.workload_id = kept.workload_id))"
        )
    if table.name in _LINKED:
        return (
            f"{base} WHERE NOT EXISTS (SELECT 1 FROM stored.inferences AS i "
            "JOIN stored.erasures AS e ON e.subject_id = i.subject_id "
            "AND (e.workload_id IS NULL OR e.workload_id = i.workload_id) "
            "WHERE i.inference_id = kept.inference_id AND i.workload_id = kept.workload_id)"
        )
    return base


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"{_sql_type(kind.value_type)}[]"
    names = {
        pa.string(): "VARCHAR",
        pa.binary(): "BLOB",
        pa.bool_(): "BOOLEAN",
        pa.int32(): "INTEGER",
        pa.int64(): "BIGINT",
        pa.float32(): "FLOAT",
        pa.float64(): "DOUBLE",
        pa.date32(): "DATE",
        pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
    }
    return names[kind]

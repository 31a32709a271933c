"""The lake as DuckDB sees it: one view per table, without erased subjects, and a few more.

``<table>`` is what every reader uses; ``stored.<table>`` is what lies on disk, erased subjects
included, for the ledger and for maintenance.
"""

# ruff: noqa: S608 - every name in these queries comes from the declared tables

from collections.abc import Collection, Sequence

import pyarrow as pa

from flywheel.lake.tables import TABLES, LakeTable

__all__ = ["EXTRA_VIEWS", "label_checks_batch", "needed_tables", "reader_view", "stored_view"]

# Label checks are adjudications of labels that nobody disputed, in batches of their own.
_LABEL_CHECKS = "-labels"

# A second event with the same id may land days later and carry another day, so that the whole
# history is looked at; but only by hash, and only what comes again is put in order. Filters and
# columns of the query itself reach the files.
_LATER = """
    WITH again AS MATERIALIZED (
        SELECT hash(workload_id, inference_id) AS id FROM inferences GROUP BY id HAVING count(*) > 1
    ), later AS MATERIALIZED (
        SELECT topic_id, "partition", "offset" FROM (
            SELECT topic_id, "partition", "offset", row_number() OVER (
                PARTITION BY workload_id, inference_id
                ORDER BY landed_at, topic_id, "partition", "offset") AS turn
            FROM inferences WHERE hash(workload_id, inference_id) IN (SELECT id FROM again))
        WHERE turn > 1
    )
"""
_POSITION = """
    later.topic_id = i.topic_id AND later."partition" = i."partition" AND later."offset" = i."offset"
"""

# Name -> (tables it reads, query).
EXTRA_VIEWS: dict[str, tuple[tuple[str, ...], str]] = {
    "first_inferences": (
        ("inferences",),
        f"{_LATER} SELECT i.* FROM inferences AS i ANTI JOIN later ON {_POSITION}",
    ),
    "all_inferences": (
        ("inferences",),
        (
            f"{_LATER} SELECT i.*, EXISTS (SELECT 1 FROM later WHERE {_POSITION}) AS duplicate "
            "FROM inferences AS i"
        ),
    ),
    "latest_corrections": (
        ("corrections",),
        (
            "SELECT * FROM corrections QUALIFY row_number() OVER (PARTITION BY workload_id, "
            "correction_id ORDER BY version DESC, accepted_at DESC) = 1"
        ),
    ),
    "latest_annotations": (
        ("annotations",),
        (
            "SELECT * FROM annotations QUALIFY row_number() OVER (PARTITION BY workload_id, "
            "annotation_id ORDER BY updated_at DESC, seen_at DESC, deleted DESC, version DESC) = 1"
        ),
    ),
    "label_checks": (
        ("review_items",),
        (
            "SELECT * FROM review_items WHERE slice = 'adjudication' "
            f"AND ends_with(batch_id, '{_LABEL_CHECKS}')"
        ),
    ),
}

# Texts about a person that carry no subject of their own are found through the inference.
_LINKED = ("feedback", "annotations")

# Membership holds no text, and must go on telling which snapshots saw an erased person.
_WITHOUT_TEXT = ("erasures", "dataset_rows")


def label_checks_batch(period: str) -> str:
    """Name the batch of a period's label checks; the view `label_checks` holds those of all."""
    return f"{period}{_LABEL_CHECKS}"


def needed_tables(words: Collection[str]) -> list[str]:
    """Name the tables that a query over these words may read."""
    named = set(words)
    wanted = {table for name in named & set(EXTRA_VIEWS) for table in EXTRA_VIEWS[name][0]}
    wanted |= named & set(TABLES)
    if wanted & set(_LINKED):
        wanted.add("inferences")
    return sorted(wanted | {"erasures"})


def stored_view(table: LakeTable, files: Sequence[str], written: Collection[str] = ()) -> str:
    """Write the query over a table's files.

    Args:
        table: what readers expect.
        files: its data files; none give no row.
        written: columns that the table on disk has; a younger one is null.
    """
    known = set(written) if files else set()
    columns = ", ".join(
        f'"{field.name}"'
        if field.name in known
        else f'CAST(NULL AS {_sql_type(field.type)}) AS "{field.name}"'
        for field in table.schema
    )
    if not files:
        return f"SELECT {columns} WHERE false"
    quoted = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    options = "union_by_name = true, hive_partitioning = false"
    if table.partition_by:
        types = ", ".join(
            f"'{name}': {_sql_type(table.schema.field(name).type)}" for name in table.partition_by
        )
        options = f"union_by_name = true, hive_partitioning = true, hive_types = {{{types}}}"
    return f"SELECT {columns} FROM read_parquet([{quoted}], {options})"


def reader_view(table: LakeTable, *, anyone_erased: bool) -> str:
    """Write the query that leaves out the subjects named in ``erasures``."""
    base = f"SELECT * FROM stored.{table.name} AS kept"
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
        pa.float64(): "DOUBLE",
        pa.date32(): "DATE",
        pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
    }
    return names[kind]

"""`LakeTable`: one Delta table and what its rows are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

__all__ = ["TIME", "LakeTable", "delta_settings", "lake_table"]

TIME = pa.timestamp("us", tz="UTC")
# A handle that is older opens the table again, and a commit through one is refused.
_LOG_RETENTION = "interval 15 minutes"


@dataclass(frozen=True)
class LakeTable:
    """One Delta table and what its rows are.

    ``statistics`` are the narrow columns that data skipping may use; ``distinct`` are those whose
    values hardly repeat, so that a dictionary of them would be built and thrown away. ``earlier``
    holds SQL for columns that rows of earlier versions lack.
    """

    name: str
    description: str
    schema: pa.Schema
    partition_by: tuple[str, ...] = ("workload_id",)
    statistics: tuple[str, ...] = ()
    distinct: tuple[str, ...] = ()
    earlier: Mapping[str, str] = field(default_factory=dict)


def lake_table(
    name: str,
    description: str,
    columns: list[tuple[str, pa.DataType]],
    *,
    partition_by: tuple[str, ...] = ("workload_id",),
    statistics: tuple[str, ...] = (),
    distinct: tuple[str, ...] = (),
    earlier: Mapping[str, str] | None = None,
) -> LakeTable:
    """Return a table with the columns given as pairs of name and type."""
    schema = pa.schema(columns)
    return LakeTable(
        name, description, schema, partition_by, statistics, distinct, dict(earlier or {})
    )


def delta_settings(table: LakeTable) -> dict[str, str]:
    """Return the properties with which Delta keeps a table."""
    # Wide text columns get no statistics: they cost more than the whole row group's write.
    statistics = (
        {"delta.dataSkippingStatsColumns": _quoted(table.statistics)}
        if table.statistics
        else {"delta.dataSkippingNumIndexedCols": "0"}
    )
    return {"delta.logRetentionDuration": _LOG_RETENTION} | statistics


def _quoted(columns: Sequence[str]) -> str:
    return ",".join(f"`{column}`" for column in columns)

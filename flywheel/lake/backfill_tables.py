"""`BACKFILL_TABLES`: what a backfill computed for the texts of earlier calls."""

import pyarrow as pa

from flywheel.lake.table import TIME, LakeTable, lake_table

__all__ = ["BACKFILL_TABLES"]

BACKFILL_TABLES: tuple[LakeTable, ...] = (
    lake_table(
        "backfill_answers",
        "One row per call, or text of a file, and release of `flywheel backfill answer`: what the "
        "release answers to it. `inference_id` of a text of a file is `FILE/ID`. No caller received it, and no figure of production counts it. "
        "`output` is null where the text has no answer, and `error` then says why.",
        [
            ("workload_id", pa.string()),
            ("day", pa.date32()),
            ("release", pa.string()),
            ("inference_id", pa.string()),
            ("subject_id", pa.string()),
            ("event_time", TIME),
            ("output", pa.string()),
            ("confidence", pa.float64()),
            ("margin", pa.float64()),
            ("prompt_tokens", pa.int64()),
            ("completion_tokens", pa.int64()),
            ("error", pa.string()),
            ("part", pa.string()),
            ("run", pa.string()),
            ("answered_at", TIME),
        ],
        partition_by=("workload_id", "day"),
        statistics=("event_time",),
        distinct=("inference_id",),
    ),
    lake_table(
        "text_vectors",
        "One row per call, or text of a file, and encoder of `flywheel backfill embed`: its sentence "
        "vector, for searching and grouping texts by likeness.",
        [
            ("workload_id", pa.string()),
            ("day", pa.date32()),
            ("encoder", pa.string()),
            ("inference_id", pa.string()),
            ("subject_id", pa.string()),
            ("event_time", TIME),
            ("vector", pa.list_(pa.float32())),
            ("part", pa.string()),
            ("run", pa.string()),
            ("embedded_at", TIME),
        ],
        partition_by=("workload_id", "day"),
        statistics=("event_time",),
        distinct=("inference_id",),
    ),
)

"""The lake's tables: columns, partitioning, and which of them hold a person's text."""

import pyarrow as pa

from flywheel.lake.backfill_tables import BACKFILL_TABLES
from flywheel.lake.earlier_rows import EARLIER_REVIEW_ITEMS
from flywheel.lake.event_tables import EVENT_TABLES
from flywheel.lake.judge_tables import JUDGE_TABLES
from flywheel.lake.table import TIME, LakeTable, lake_table

__all__ = ["TABLES", "LakeTable"]

# Values that depend on the workload (answers, feedback) are JSON text; `input` is the text that
# the model was asked about.
_ALL = [
    lake_table(
        "review_items",
        "One row per item that was sent to people: why it was chosen, and with which probability.",
        [
            ("workload_id", pa.string()),
            ("batch_id", pa.string()),
            ("item_id", pa.string()),
            ("inference_id", pa.string()),
            ("slice", pa.string()),
            ("reason", pa.string()),
            ("score", pa.float64()),
            ("inclusion_probability", pa.float64()),
            ("input", pa.string()),
            ("model_output", pa.string()),
            ("confidence", pa.float64()),
            ("release", pa.string()),
            ("judgments", pa.int32()),
            ("priority", pa.float64()),
            ("subject_id", pa.string()),
            ("event_time", TIME),
            ("chosen_at", TIME),
            ("period", pa.string()),
            ("batch_kind", pa.string()),
            ("disputed_item_id", pa.string()),
            ("cycle", pa.string()),
            ("attempt", pa.int32()),
            ("original_output", pa.string()),
        ],
        earlier=EARLIER_REVIEW_ITEMS,
    ),
    lake_table(
        "review_windows",
        "One row per closed window of sampling, also where nothing was asked. "
        "`frame_start`, `window_end` and `positions` say which answers its control slice "
        "was drawn from (`landed_through` in rows without positions). `positions` is "
        "JSON: the last offset seen, by topic id and partition.",
        [
            ("workload_id", pa.string()),
            ("batch_id", pa.string()),
            ("period", pa.string()),
            ("window_start", TIME),
            ("window_end", TIME),
            ("frame_start", TIME),
            ("landed_through", TIME),
            ("budget", pa.int32()),
            ("answers", pa.int64()),
            ("reason", pa.string()),
            ("drawn_at", TIME),
            ("number", pa.int64()),
            ("positions", pa.string()),
        ],
    ),
    lake_table(
        "annotations",
        "One row per version of an annotation, deleted ones included.",
        [
            ("workload_id", pa.string()),
            ("annotation_id", pa.string()),
            ("version", pa.string()),
            ("item_id", pa.string()),
            ("inference_id", pa.string()),
            ("annotator", pa.string()),
            ("simulated", pa.bool_()),
            ("kind", pa.string()),
            ("output", pa.string()),
            ("proposed_label", pa.string()),
            ("seconds", pa.float64()),
            ("created_at", TIME),
            ("updated_at", TIME),
            ("deleted", pa.bool_()),
            ("raw", pa.string()),
            ("seen_at", TIME),
        ],
    ),
    lake_table(
        "corrections",
        "The accepted truth. `status` is accepted (truth), disputed (goes to "
        "adjudication), proposed (names a category that the taxonomy does not have yet) "
        "or withdrawn. The row with the highest `version` counts.",
        [
            ("workload_id", pa.string()),
            ("correction_id", pa.string()),
            ("version", pa.int64()),
            ("status", pa.string()),
            ("inference_id", pa.string()),
            ("batch_id", pa.string()),
            ("slice", pa.string()),
            ("input", pa.string()),
            ("output", pa.string()),
            ("label_id", pa.string()),
            ("proposed_label", pa.string()),
            ("taxonomy_version", pa.int32()),
            ("original_output", pa.string()),
            ("original_release", pa.string()),
            ("inclusion_probability", pa.float64()),
            ("annotators", pa.list_(pa.string())),
            ("annotation_ids", pa.list_(pa.string())),
            ("simulated", pa.bool_()),
            ("source", pa.string()),
            ("subject_id", pa.string()),
            ("event_time", TIME),
            ("accepted_at", TIME),
        ],
    ),
    lake_table(
        "profiles",
        "Histograms per workload, day and column, which can be merged. `kind` is numeric "
        "(`key`: histogram bin), category (`key`: value), term (`key`: word) or total.",
        [
            ("workload_id", pa.string()),
            ("day", pa.date32()),
            ("column", pa.string()),
            ("kind", pa.string()),
            ("key", pa.string()),
            ("count", pa.int64()),
            ("total", pa.float64()),
        ],
    ),
    lake_table(
        "drift_reports",
        "One row per measured window; `report` is the complete verdict as JSON.",
        [
            ("workload_id", pa.string()),
            ("window_start", pa.date32()),
            ("window_end", pa.date32()),
            ("reference_start", pa.date32()),
            ("reference_end", pa.date32()),
            ("verdict", pa.string()),
            ("drifted_columns", pa.list_(pa.string())),
            ("quality_drop", pa.float64()),
            ("quality_fell", pa.bool_()),
            ("reason", pa.string()),
            ("report", pa.string()),
            ("measured_at", TIME),
        ],
    ),
    lake_table(
        "dataset_rows",
        "Membership: which answer and correction is in which split of which dataset snapshot, "
        "or why it was left out.",
        [
            ("workload_id", pa.string()),
            ("snapshot", pa.string()),
            ("cycle", pa.string()),
            ("split", pa.string()),
            ("inference_id", pa.string()),
            ("correction_id", pa.string()),
            ("input_hash", pa.string()),
            ("label_id", pa.string()),
            ("reason", pa.string()),
            ("subject_id", pa.string()),
        ],
    ),
    lake_table(
        "evaluations",
        "One row per case, arm and suite of each gate.",
        [
            ("workload_id", pa.string()),
            ("cycle", pa.string()),
            ("attempt", pa.int32()),
            ("suite", pa.string()),
            ("arm", pa.string()),
            ("release", pa.string()),
            ("inference_id", pa.string()),
            ("label_id", pa.string()),
            ("input", pa.string()),
            ("expected", pa.string()),
            ("output", pa.string()),
            ("text", pa.string()),
            ("correct", pa.bool_()),
            ("schema_valid", pa.bool_()),
            ("confidence", pa.float64()),
            ("seconds", pa.float64()),
            ("subject_id", pa.string()),
            ("measured_at", TIME),
        ],
    ),
    lake_table(
        "erasures",
        "Persons whose rows readers leave out and maintenance removes.",
        [
            ("workload_id", pa.string()),
            ("subject_id", pa.string()),
            ("requested_by", pa.string()),
            ("reason", pa.string()),
            ("requested_at", TIME),
        ],
        partition_by=(),
    ),
]

TABLES: dict[str, LakeTable] = {
    table.name: table for table in (*EVENT_TABLES, *_ALL, *JUDGE_TABLES, *BACKFILL_TABLES)
}

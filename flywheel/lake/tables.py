"""The lake's tables: columns, partitioning, and which of them hold a person's text."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from flywheel.lake.earlier_rows import EARLIER_REVIEW_ITEMS

__all__ = ["TABLES", "LakeTable"]

_TIME = pa.timestamp("us", tz="UTC")
_SOURCE = [("topic", pa.string()), ("topic_id", pa.string()), ("partition", pa.int32())]
_SOURCE += [("offset", pa.int64())]


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


def _table(
    name: str,
    description: str,
    columns: list[tuple[str, pa.DataType]],
    *,
    partition_by: tuple[str, ...] = ("workload_id",),
    statistics: tuple[str, ...] = (),
    distinct: tuple[str, ...] = (),
    earlier: Mapping[str, str] | None = None,
) -> LakeTable:
    schema = pa.schema(columns)
    return LakeTable(
        name, description, schema, partition_by, statistics, distinct, dict(earlier or {})
    )


# Values that depend on the workload (answers, feedback) are JSON text; `input` is the text that
# the model was asked about; `day` is the UTC date of the event time.
_ALL = [
    _table(
        "inferences",
        "One row per landed inference event; of several with one `inference_id` the first counts.",
        [
            *_SOURCE,
            ("landed_at", _TIME),
            ("inference_id", pa.string()),
            ("schema_version", pa.int32()),
            ("timestamp", _TIME),
            ("day", pa.date32()),
            ("workload_id", pa.string()),
            ("workload_revision", pa.string()),
            ("client_id", pa.string()),
            ("subject_id", pa.string()),
            ("trace_id", pa.string()),
            ("conversation_id", pa.string()),
            ("route", pa.string()),
            ("release", pa.string()),
            ("base_model", pa.string()),
            ("request", pa.string()),
            ("response", pa.string()),
            ("input", pa.string()),
            ("output", pa.string()),
            ("confidence", pa.float64()),
            ("margin", pa.float64()),
            ("latency_ms", pa.float64()),
            ("prompt_tokens", pa.int64()),
            ("completion_tokens", pa.int64()),
            ("error", pa.string()),
            ("shadow_of", pa.string()),
        ],
        partition_by=("workload_id", "day"),
        statistics=("timestamp", "topic_id", "partition", "offset"),
        distinct=("inference_id", "trace_id", "request", "response", "input"),
    ),
    _table(
        "feedback",
        "One row per landed feedback event.",
        [
            *_SOURCE,
            ("landed_at", _TIME),
            ("feedback_id", pa.string()),
            ("schema_version", pa.int32()),
            ("timestamp", _TIME),
            ("day", pa.date32()),
            ("workload_id", pa.string()),
            ("inference_id", pa.string()),
            ("kind", pa.string()),
            ("value", pa.string()),
            ("author", pa.string()),
        ],
        statistics=("timestamp", "topic_id", "partition", "offset"),
    ),
    _table(
        "dead_letters",
        "One row per record that broke the contract, with its bytes and the reason.",
        [
            *_SOURCE,
            ("key", pa.binary()),
            ("raw", pa.binary()),
            ("reason", pa.string()),
            ("error", pa.string()),
            ("first_seen", _TIME),
        ],
        partition_by=(),
        statistics=("topic_id", "partition", "offset"),
        distinct=("key", "raw"),
    ),
    _table(
        "declared_gaps",
        "Offsets that the log lost for good, as an operator declared them.",
        [
            *_SOURCE[:3],
            ("first_offset", pa.int64()),
            ("next_offset", pa.int64()),
            ("declared_by", pa.string()),
            ("reason", pa.string()),
            ("declared_at", _TIME),
        ],
        partition_by=(),
    ),
    _table(
        "shadow_pairs",
        "One row per answer that a shadow release answered as well. `day` is that of the answer "
        "that the caller received; an answer that failed or broke the schema is null.",
        [
            ("workload_id", pa.string()),
            ("day", pa.date32()),
            ("inference_id", pa.string()),
            ("shadow_id", pa.string()),
            ("champion", pa.string()),
            ("candidate", pa.string()),
            ("subject_id", pa.string()),
            ("event_time", _TIME),
            ("input", pa.string()),
            ("champion_output", pa.string()),
            ("candidate_output", pa.string()),
            ("same_answer", pa.bool_()),
            ("champion_error", pa.string()),
            ("candidate_error", pa.string()),
            ("champion_confidence", pa.float64()),
            ("candidate_confidence", pa.float64()),
            ("champion_latency_ms", pa.float64()),
            ("candidate_latency_ms", pa.float64()),
        ],
        partition_by=("workload_id", "day"),
        statistics=("event_time",),
        distinct=("inference_id", "shadow_id", "input"),
    ),
    _table(
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
            ("event_time", _TIME),
            ("chosen_at", _TIME),
            ("period", pa.string()),
            ("batch_kind", pa.string()),
            ("disputed_item_id", pa.string()),
            ("cycle", pa.string()),
            ("attempt", pa.int32()),
            ("original_output", pa.string()),
        ],
        earlier=EARLIER_REVIEW_ITEMS,
    ),
    _table(
        "review_windows",
        "One row per closed window of sampling, also where nothing was asked. "
        "`frame_start`, `window_end` and `positions` say which answers its control slice "
        "was drawn from (`landed_through` in rows without positions). `positions` is "
        "JSON: the last offset seen, by topic id and partition.",
        [
            ("workload_id", pa.string()),
            ("batch_id", pa.string()),
            ("period", pa.string()),
            ("window_start", _TIME),
            ("window_end", _TIME),
            ("frame_start", _TIME),
            ("landed_through", _TIME),
            ("budget", pa.int32()),
            ("answers", pa.int64()),
            ("reason", pa.string()),
            ("drawn_at", _TIME),
            ("number", pa.int64()),
            ("positions", pa.string()),
        ],
    ),
    _table(
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
            ("created_at", _TIME),
            ("updated_at", _TIME),
            ("deleted", pa.bool_()),
            ("raw", pa.string()),
            ("seen_at", _TIME),
        ],
    ),
    _table(
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
            ("event_time", _TIME),
            ("accepted_at", _TIME),
        ],
    ),
    _table(
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
    _table(
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
            ("measured_at", _TIME),
        ],
    ),
    _table(
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
    _table(
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
            ("measured_at", _TIME),
        ],
    ),
    _table(
        "erasures",
        "Persons whose rows readers leave out and maintenance removes.",
        [
            ("workload_id", pa.string()),
            ("subject_id", pa.string()),
            ("requested_by", pa.string()),
            ("reason", pa.string()),
            ("requested_at", _TIME),
        ],
        partition_by=(),
    ),
]

TABLES: dict[str, LakeTable] = {table.name: table for table in _ALL}

"""`EVENT_TABLES`: what landed from the log, what did not, and pairs of answers made of it."""

import pyarrow as pa

from flywheel.lake.table import TIME, LakeTable, lake_table

__all__ = ["EVENT_TABLES"]

_SOURCE = [("topic", pa.string()), ("topic_id", pa.string()), ("partition", pa.int32())]
_SOURCE += [("offset", pa.int64())]


# Values that depend on the workload (answers, feedback) are JSON text; `input` is the text that
# the model was asked about; `day` is the UTC date of the event time.
EVENT_TABLES: tuple[LakeTable, ...] = (
    lake_table(
        "inferences",
        "One row per landed inference event; of several with one `inference_id` the first counts.",
        [
            *_SOURCE,
            ("landed_at", TIME),
            ("inference_id", pa.string()),
            ("schema_version", pa.int32()),
            ("timestamp", TIME),
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
    lake_table(
        "feedback",
        "One row per landed feedback event.",
        [
            *_SOURCE,
            ("landed_at", TIME),
            ("feedback_id", pa.string()),
            ("schema_version", pa.int32()),
            ("timestamp", TIME),
            ("day", pa.date32()),
            ("workload_id", pa.string()),
            ("inference_id", pa.string()),
            ("kind", pa.string()),
            ("value", pa.string()),
            ("author", pa.string()),
        ],
        statistics=("timestamp", "topic_id", "partition", "offset"),
    ),
    lake_table(
        "dead_letters",
        "One row per record that broke the contract, with its bytes and the reason.",
        [
            *_SOURCE,
            ("key", pa.binary()),
            ("raw", pa.binary()),
            ("reason", pa.string()),
            ("error", pa.string()),
            ("first_seen", TIME),
        ],
        partition_by=(),
        statistics=("topic_id", "partition", "offset"),
        distinct=("key", "raw"),
    ),
    lake_table(
        "declared_gaps",
        "Offsets that the log lost for good, as an operator declared them.",
        [
            *_SOURCE[:3],
            ("first_offset", pa.int64()),
            ("next_offset", pa.int64()),
            ("declared_by", pa.string()),
            ("reason", pa.string()),
            ("declared_at", TIME),
        ],
        partition_by=(),
    ),
    lake_table(
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
            ("event_time", TIME),
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
)

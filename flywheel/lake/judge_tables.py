"""`JUDGE_TABLES`: what a model as judge said of answers, and how far it agreed with people."""

import pyarrow as pa

from flywheel.lake.table import TIME, LakeTable, lake_table

__all__ = ["JUDGE_TABLES"]

JUDGE_TABLES: tuple[LakeTable, ...] = (
    lake_table(
        "judge_verdicts",
        "One row per answer that a model as judge was asked about under one prompt, rubric and "
        "model (`digest`). `verdict` is null where it answered neither correct nor incorrect. "
        "Neither a label nor a case of any gate: it orders the review queue and, while the judge "
        "is calibrated, sharpens the weekly figure.",
        [
            ("workload_id", pa.string()),
            ("digest", pa.string()),
            ("inference_id", pa.string()),
            ("verdict", pa.string()),
            ("prompt_tokens", pa.int64()),
            ("completion_tokens", pa.int64()),
            ("cost", pa.float64()),
            ("subject_id", pa.string()),
            ("asked_at", TIME),
        ],
    ),
    lake_table(
        "judge_calibrations",
        "One row per comparison of a judge with people on the control slice; the newest one of a "
        "digest counts until `expires_at`.",
        [
            ("workload_id", pa.string()),
            ("digest", pa.string()),
            ("source", pa.string()),
            ("judged", pa.int64()),
            ("unreadable", pa.int64()),
            ("agreement", pa.float64()),
            ("lower", pa.float64()),
            ("upper", pa.float64()),
            ("informedness", pa.float64()),
            ("informedness_lower", pa.float64()),
            ("slope", pa.float64()),
            ("confidence", pa.float64()),
            ("looks", pa.int64()),
            ("floor", pa.float64()),
            ("calibrated", pa.bool_()),
            ("reason", pa.string()),
            ("simulated", pa.bool_()),
            ("first_event", TIME),
            ("last_event", TIME),
            ("calibrated_at", TIME),
            ("expires_at", TIME),
        ],
    ),
)

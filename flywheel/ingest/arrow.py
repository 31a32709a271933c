"""From log records to Arrow tables: the rows that land, and the dead letters."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from flywheel.events import EventContract, Rejection, decode_feedback, decode_inferences
from flywheel.events.columns import AnswerTexts, feedback_columns, inference_columns
from flywheel.events.schema import INFERENCES_TOPIC
from flywheel.lake.tables import TABLES
from flywheel.ports.event_log import LogRecord

__all__ = ["Batch", "arrange", "dead_letters", "table_of", "warm_up"]

# A whole batch at once would fall out of the processor's cache between its passes: a fifth slower.
_TOGETHER = 1_000


@dataclass(frozen=True)
class Batch:
    """What a batch of records became."""

    rows: pa.Table
    rejections: list[Rejection]


def warm_up() -> None:
    """Let Arrow load what it loads at its first array (pandas, for seconds on a busy machine)."""
    pa.array([0])


def table_of(topic: str) -> str:
    """Name the lake table that a topic lands in."""
    return "inferences" if topic == INFERENCES_TOPIC else "feedback"


def arrange(
    records: Sequence[LogRecord], contract: EventContract, answers: AnswerTexts, *, now: datetime
) -> Batch:
    """Decode records of one topic and lay the good ones out as rows of its table."""
    table = table_of(records[0].partition.topic)
    tables: list[pa.Table] = []
    rejections: list[Rejection] = []
    for start in range(0, len(records), _TOGETHER):
        some = records[start : start + _TOGETHER]
        columns, indices, rejected = _columns(table, some, contract, answers)
        columns |= _source([some[index] for index in indices])
        tables.append(_rows(table, columns, now))
        rejections += [replace(one, index=start + one.index) for one in rejected]
    return Batch(pa.concat_tables(tables), rejections)


def _columns(
    table: str, records: Sequence[LogRecord], contract: EventContract, answers: AnswerTexts
) -> tuple[dict[str, list[Any]], list[int], list[Rejection]]:
    values = [record.value for record in records]
    if table == "feedback":
        feedback = decode_feedback(values, contract)
        columns = feedback_columns(feedback, answers)
        return columns, feedback.indices, feedback.rejections

    inferences = decode_inferences(values, contract)
    columns = inference_columns(inferences, contract, answers)
    return columns, inferences.indices, inferences.rejections


def _source(records: Sequence[LogRecord]) -> dict[str, list[Any]]:
    partitions = [record.partition for record in records]
    return {
        "topic": [partition.topic for partition in partitions],
        "topic_id": [partition.topic_id for partition in partitions],
        "partition": [partition.number for partition in partitions],
        "offset": [record.offset for record in records],
    }


def _rows(table: str, columns: dict[str, list[Any]], now: datetime) -> pa.Table:
    schema = TABLES[table].schema
    arrays = {name: _array(values, schema.field(name).type) for name, values in columns.items()}
    arrays["day"] = arrays["timestamp"].cast(pa.date32())
    landed_at = pa.scalar(now, schema.field("landed_at").type)
    arrays["landed_at"] = pa.repeat(landed_at, len(arrays["day"]))
    return pa.table(arrays)


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if not values or not isinstance(values[0], msgspec.Raw):
        return pa.array(values, type=kind)
    # JSON texts that were checked to be UTF-8: copied once, and never made into Python strings.
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, values), np.int32, len(values)), out=offsets[1:])
    buffers = [pa.py_buffer(offsets), pa.py_buffer(b"".join(values))]
    return pa.StringArray.from_buffers(len(values), *buffers)


def dead_letters(
    records: Sequence[LogRecord], rejections: Sequence[Rejection], *, now: datetime
) -> pa.Table:
    """Lay rejected records out as rows of `dead_letters`."""
    rejected = [records[rejection.index] for rejection in rejections]
    columns: dict[str, list[Any]] = {
        **_source(rejected),
        "key": [record.key for record in rejected],
        "raw": [record.value for record in rejected],
        "reason": [str(rejection.reason) for rejection in rejections],
        "error": [rejection.error for rejection in rejections],
        "first_seen": [now] * len(rejected),
    }
    schema = TABLES["dead_letters"].schema
    return pa.table(
        {name: pa.array(values, type=schema.field(name).type) for name, values in columns.items()}
    )

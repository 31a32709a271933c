"""`answer_texts` and `embed_texts`: the work on the texts of a part, wherever it is done."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from flywheel.errors import DataError
from flywheel.ports.bulk_work import Kind, TextPart
from flywheel.workload.answers import canonical_json

if TYPE_CHECKING:
    from flywheel.ports.model_server import Answer, ModelServer
    from flywheel.workload.answers import AnswerCodec

__all__ = ["PART", "RESULTS", "Compute", "answer_texts", "embed_texts", "result_of"]

Compute = Callable[[Sequence[str]], pa.Table]

_KEYS = [
    ("inference_id", pa.string()),
    ("subject_id", pa.string()),
    ("event_time", pa.timestamp("us", tz="UTC")),
]
# Columns of a part, and of its result by kind of work.
PART = pa.schema([*_KEYS, ("input", pa.string())])
_ANSWERS = pa.schema(
    [
        ("output", pa.string()),
        ("confidence", pa.float64()),
        ("margin", pa.float64()),
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
        ("error", pa.string()),
    ]
)
_VECTORS = pa.schema([("vector", pa.list_(pa.float32()))])
RESULTS: Mapping[Kind, pa.Schema] = {
    "answer": pa.schema([*_KEYS, *_ANSWERS]),
    "embed": pa.schema([*_KEYS, *_VECTORS]),
}


def result_of(part: TextPart, compute: Compute) -> pa.Table:
    """Return the result of a part: its columns without the texts, and those of the work."""
    computed = compute(part.rows["input"].to_pylist())
    rows = part.rows.drop_columns(["input"])
    for name in computed.column_names:
        rows = rows.append_column(name, computed[name])
    return rows


def answer_texts(
    server: "ModelServer", release: str, codec: "AnswerCodec", texts: Sequence[str]
) -> pa.Table:
    """Answer texts, of which one that cannot be answered stops no other.

    Raises:
        UnavailableError: the server is away.
    """
    rows = [_row(one) for one in _answers(server, release, codec, texts)]
    return pa.Table.from_pylist(rows, schema=_ANSWERS)


def embed_texts(texts: Sequence[str]) -> pa.Table:
    """Return the sentence vectors of texts."""
    from flywheel.similarity.sentence_vectors import encode_sentences

    vectors = encode_sentences(texts)
    flat, width = pa.array(vectors.reshape(-1)), vectors.shape[1]
    offsets = pa.array(range(0, len(flat) + 1, width), type=pa.int32())
    return pa.table([pa.ListArray.from_arrays(offsets, flat)], schema=_VECTORS)


def _answers(
    server: "ModelServer", release: str, codec: "AnswerCodec", texts: Sequence[str]
) -> "list[Answer | DataError]":
    # A server refuses a batch for one text that does not fit: the halves are asked alone.
    try:
        return list(server.answer(release, codec, texts))
    except DataError as error:
        if len(texts) == 1:
            return [error]
    middle = len(texts) // 2
    return [
        *_answers(server, release, codec, texts[:middle]),
        *_answers(server, release, codec, texts[middle:]),
    ]


def _row(given: "Answer | DataError") -> dict[str, object]:
    if isinstance(given, DataError):
        return {"error": given.message}
    return {
        "output": None if given.output is None else canonical_json(given.output),
        "confidence": given.confidence,
        "margin": given.margin,
        "prompt_tokens": given.prompt_tokens,
        "completion_tokens": given.completion_tokens,
        "error": given.error,
    }

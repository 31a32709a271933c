"""Training rows: the snapshot checked, tokenised exactly as they will be served, none cut."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flywheel.answers import AnswerCodec
from flywheel.errors import DataError
from flywheel.prompt import completion_ids, prompt_ids, render_prompt

__all__ = ["TokenRow", "read_rows", "tokenize_rows"]

_NAMED = 5
_IGNORED = -100


@dataclass(frozen=True)
class TokenRow:
    """Token ids of prompt and completion, and the labels that the loss looks at."""

    input_ids: list[int]
    labels: list[int]


def read_rows(folder: Path, dataset_hash: str) -> list[dict[str, Any]]:
    """Read ``train.jsonl`` of a snapshot whose hash and files are as the spec and manifest say."""
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        content = (folder / "train.jsonl").read_bytes()
        stated, file_hash = manifest["hash"], manifest["files"]["train.jsonl"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder} is no dataset snapshot: {error}", next_step="build the dataset again"
        ) from error
    if stated != dataset_hash or hashlib.sha256(content).hexdigest() != file_hash:
        raise DataError(
            f"The dataset in {folder} is not the one of the spec ({dataset_hash[:12]}).",
            next_step="restore the snapshot or build the dataset again",
        )
    try:
        rows = [json.loads(line) for line in content.splitlines() if line.strip()]
    except ValueError as error:
        raise DataError(f"train.jsonl of {folder} is not JSON lines: {error}") from error
    if not rows:
        raise DataError(f"{folder} has no training rows.", next_step="review more items")
    return rows


def tokenize_rows(
    rows: Sequence[dict[str, Any]], codec: AnswerCodec, tokenizer: Any, *, limit: int
) -> list[TokenRow]:
    """Turn rows into token ids in the base model's own writing of labels.

    Raises:
        DataError: a row has no usable input or answer, or is longer than ``limit`` tokens; the
            rows are named.
    """
    try:
        prompts = [render_prompt(codec.workload, row["input"]) for row in rows]
        answers = [codec.encode(row["output"]) for row in rows]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"A training row has no usable `input` and `output`: {error!r}",
            next_step="build the dataset again",
        ) from error
    pairs = list(
        zip(prompt_ids(tokenizer, prompts), completion_ids(tokenizer, answers), strict=True)
    )
    long = [
        str(row.get("inference_id") or row.get("correction_id") or f"row {index}")
        for index, (row, (prompt, answer)) in enumerate(zip(rows, pairs, strict=True))
        if len(prompt) + len(answer) > limit
    ]
    if long:
        raise DataError(
            f"{len(long)} training rows are longer than {limit} tokens: "
            f"{', '.join(long[:_NAMED])}{' …' if len(long) > _NAMED else ''}.",
            next_step="raise training.maximum_tokens or exclude the rows; none is cut silently",
            rows=long,
        )
    return [TokenRow([*p, *a], [*[_IGNORED] * len(p), *a]) for p, a in pairs]

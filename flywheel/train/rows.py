"""Training rows: the snapshot checked, tokenized exactly as they will be served, none cut."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from flywheel.artifacts.dataset_rows import DatasetRow, LabeledRow, PreferenceRow, ThumbedRow
from flywheel.artifacts.snapshot import read_preference_rows, read_rows
from flywheel.errors import DataError, IntegrityError, NotFoundError
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.model import Workload
from flywheel.workload.prompt import completion_ids, parse_prompt, prompt_ids, render_prompt

__all__ = [
    "IGNORED",
    "PairRow",
    "ThumbRow",
    "TokenRow",
    "preference_rows",
    "tokenize_pairs",
    "tokenize_rows",
    "tokenize_thumbs",
    "training_rows",
]

_NAMED = 5
IGNORED = -100
_SIDES: tuple[Literal["chosen", "rejected"], ...] = ("chosen", "rejected")


@dataclass(frozen=True)
class TokenRow:
    """Token ids of prompt and completion, and the labels that the loss looks at."""

    input_ids: list[int]
    labels: list[int]


@dataclass(frozen=True)
class PairRow:
    """Token ids of a prompt, of its answer and of the one that was replaced."""

    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: list[int]

    @property
    def tokens(self) -> int:
        """Tokens of both texts."""
        return 2 * len(self.prompt_ids) + len(self.chosen_ids) + len(self.rejected_ids)


@dataclass(frozen=True)
class ThumbRow:
    """Token ids of a prompt and of the model's answer, and whether people wanted it."""

    prompt_ids: list[int]
    completion_ids: list[int]
    wanted: bool

    @property
    def tokens(self) -> int:
        """Tokens of the answer in its prompt, and of the one that it is compared with."""
        return 2 * (len(self.prompt_ids) + len(self.completion_ids))


def training_rows(folder: Path, dataset_hash: str) -> list[LabeledRow]:
    """Return the training rows of the snapshot that a spec names.

    Raises:
        DataError: there are none, or the snapshot is not the one of the spec.
    """
    with _bad_data(folder, dataset_hash):
        rows = read_rows(folder, "train", named=dataset_hash)
    if not rows:
        raise DataError(f"{folder} has no training rows.", next_step="review more items")
    return rows


def preference_rows(
    folder: Path, dataset_hash: str
) -> tuple[list[PreferenceRow], list[ThumbedRow]]:
    """Return the pairs, or else the thumbs, of the snapshot that a spec names.

    Raises:
        DataError: the snapshot is not the one of the spec.
    """
    with _bad_data(folder, dataset_hash):
        return read_preference_rows(folder, named=dataset_hash)


@contextmanager
def _bad_data(folder: Path, dataset_hash: str) -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise DataError(
            f"The dataset in {folder} is not the one of the spec ({dataset_hash[:12]}).",
            next_step="restore the snapshot or build the dataset again",
        ) from error
    except (NotFoundError, OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder} is not a dataset snapshot: {error}", next_step="build the dataset again"
        ) from error


def tokenize_rows(
    rows: Sequence[LabeledRow], codec: AnswerCodec, tokenizer: Any, *, limit: int
) -> list[TokenRow]:
    """Turn rows into token ids in the base model's own writing of labels.

    Raises:
        DataError: a row has no usable input or answer, is longer than ``limit`` tokens, or its
            answer is longer than the workload lets a model answer; the rows are named.
    """
    try:
        prompts = [
            render_prompt(codec.workload, row["input"], (), codec, tokenizer=tokenizer)
            for row in rows
        ]
        answers = [codec.passage(row["output"]) for row in rows]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"A training row has no usable `input` and `output`: {error!r}",
            next_step="build the dataset again",
        ) from error
    pairs = list(
        zip(prompt_ids(tokenizer, prompts), completion_ids(tokenizer, answers), strict=True)
    )
    _check_lengths(rows, [len(prompt) + len(answer) for prompt, answer in pairs], limit)
    _check_answers(rows, [len(answer) - 1 for _, answer in pairs], codec.workload)
    return [TokenRow([*p, *a], [*[IGNORED] * len(p), *a]) for p, a in pairs]


def tokenize_pairs(
    rows: Sequence[PreferenceRow], codec: AnswerCodec, tokenizer: Any, *, limit: int
) -> list[PairRow]:
    """Turn preference rows into token ids, written as training rows are.

    Raises:
        DataError: a row lacks something, or one of its texts is longer than ``limit`` tokens.
    """
    try:
        prompts = [
            parse_prompt(codec.workload, row["prompt"], codec, tokenizer=tokenizer) for row in rows
        ]
        sides = [[codec.passage(_answer(codec, row[side])) for row in rows] for side in _SIDES]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(
            f"A preference row has no usable `prompt`, `chosen` and `rejected`: {error!r}",
            next_step="build the dataset again",
        ) from error
    chosen, rejected = (completion_ids(tokenizer, texts) for texts in sides)
    tokenized = [
        PairRow(*ids) for ids in zip(prompt_ids(tokenizer, prompts), chosen, rejected, strict=True)
    ]
    longest = [
        len(row.prompt_ids) + max(len(row.chosen_ids), len(row.rejected_ids)) for row in tokenized
    ]
    _check_lengths(rows, longest, limit)
    return tokenized


def tokenize_thumbs(
    rows: Sequence[ThumbedRow], codec: AnswerCodec, tokenizer: Any, *, limit: int
) -> list[ThumbRow]:
    """Turn rows of KTO into token ids, written as training rows are.

    Raises:
        DataError: a row lacks something, or is longer than ``limit`` tokens.
    """
    try:
        prompts = [
            parse_prompt(codec.workload, row["prompt"], codec, tokenizer=tokenizer) for row in rows
        ]
        answers = [codec.passage(_answer(codec, row["completion"])) for row in rows]
        wanted = [bool(row["label"]) for row in rows]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(
            f"A row of KTO has no usable `prompt`, `completion` and `label`: {error!r}",
            next_step="build the dataset again",
        ) from error
    asked, answered = prompt_ids(tokenizer, prompts), completion_ids(tokenizer, answers)
    tokenized = [ThumbRow(*one) for one in zip(asked, answered, wanted, strict=True)]
    lengths = [len(row.prompt_ids) + len(row.completion_ids) for row in tokenized]
    _check_lengths(rows, lengths, limit)
    return tokenized


def _answer(codec: AnswerCodec, text: Any) -> Any:
    # Rows hold answers as text, a label's name or JSON; those of a chat as its last turn.
    text = text if isinstance(text, str) else str(text[-1]["content"])
    return codec.workload.form.read(text)


def _check_answers(rows: Sequence[LabeledRow], lengths: Sequence[int], workload: Workload) -> None:
    # Without the end token. The server cuts an answer off there: what is longer is never right.
    limit = workload.limits.answer_tokens
    if max(lengths, default=0) > limit:
        count = sum(length > limit for length in lengths)
        longest = max(range(len(lengths)), key=lengths.__getitem__)
        raise DataError(
            f"{count} of {len(rows)} training answers are longer than the {limit} tokens that a "
            f"model may answer with; the longest, of {_name(rows[longest], longest)}, has "
            f"{lengths[longest]}.",
            next_step=f"raise limits.answer_tokens of {workload.id} to {lengths[longest]} or more",
        )


def _name(row: DatasetRow, index: int) -> str:
    return str(row.get("inference_id") or row.get("correction_id") or f"row {index}")


def _check_lengths(rows: Sequence[DatasetRow], lengths: Sequence[int], limit: int) -> None:
    long = [
        _name(row, index)
        for index, (row, length) in enumerate(zip(rows, lengths, strict=True))
        if length > limit
    ]
    if long:
        raise DataError(
            f"{len(long)} training rows are longer than {limit} tokens: "
            f"{', '.join(long[:_NAMED])}{' …' if len(long) > _NAMED else ''}.",
            next_step="raise training.maximum_tokens or exclude the rows; none is cut silently",
            rows=long,
        )

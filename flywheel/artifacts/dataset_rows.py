"""`LabeledRow`, `PreferenceRow` and `ThumbedRow`: the rows of a snapshot's files, as their JSON holds them.

They speak label names, never what a base model writes for them.
"""

from typing import Any, NotRequired, TypedDict

__all__ = ["DatasetRow", "FixedRecord", "LabeledRow", "PreferenceRow", "ThumbedRow"]


class FixedRecord(TypedDict):
    """What a `FixedCase` counts."""

    times: int
    held: NotRequired[int]
    lost: NotRequired[int]


class _Row(TypedDict):
    inference_id: str
    correction_id: str


class LabeledRow(TypedDict):
    """An input with its accepted answer: a row to learn from, a worked example or a case of a gate.

    ``prompt`` and ``completion`` are texts, or the turns of a chat. A row of the must-not-lose split
    has ``fixed`` and ``named``, a case of a directed review its ``subject_id`` and no prompt.
    """

    inference_id: str
    correction_id: NotRequired[str]
    input: str
    prompt: NotRequired[Any]
    completion: NotRequired[Any]
    output: Any
    label_id: NotRequired[str | None]
    fixed: NotRequired[FixedRecord | None]
    named: NotRequired[bool]
    subject_id: NotRequired[str | None]


class PreferenceRow(_Row):
    """A prompt with the accepted answer and the one that it replaced, in TRL's columns."""

    prompt: Any
    chosen: Any
    rejected: Any


class ThumbedRow(_Row):
    """A prompt with the model's own answer, and whether people wanted it, in TRL's columns."""

    prompt: Any
    completion: Any
    label: bool


DatasetRow = LabeledRow | PreferenceRow | ThumbedRow

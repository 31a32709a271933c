"""`judge_narrowness`: how narrow the answers of a task are, from a sample and counts of them."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from flywheel.economics.samples import DistinctCounts

__all__ = ["FITNESS", "AnswerKind", "Narrowness", "judge_narrowness"]

AnswerKind = Literal["labels", "fields", "short texts", "free texts", "unknown"]
# How well a small adapter does on a kind of answer, as a factor of what can be saved. Orders of
# magnitude from the public data sets that the project is measured on, not measurements of a log.
FITNESS: dict[AnswerKind, float] = {
    "labels": 1.0,
    "fields": 0.9,
    "short texts": 0.5,
    "free texts": 0.2,
    "unknown": 0.0,
}
_MOST_LABELS, _COVERED = 200, 0.95
_LABEL_WORDS, _SHORT_WORDS = 8, 40
_FEWEST = 20
_REPEATED = 0.5
_FENCE = re.compile(r"\A\s*```[\w+-]*\s*(.*?)\s*```\s*\Z", re.DOTALL)


@dataclass(frozen=True)
class Narrowness:
    """What answers look like; ``words`` is the median length, ``distinct`` how many differ."""

    kind: AnswerKind
    distinct: int
    words: float | None
    reason: str


def judge_narrowness(answers: Sequence[str], counts: DistinctCounts) -> Narrowness:
    """Name the kind of a task's answers.

    Args:
        answers: a sample of them.
        counts: all of them, without regard to case and blanks.
    """
    if len(answers) < _FEWEST:
        return Narrowness("unknown", counts.distinct, None, f"{len(answers)} answers are too few")
    words = median(len(answer.split()) for answer in answers)
    covered = counts.share_of_most_frequent(_MOST_LABELS) or 0.0
    keys = _common_keys(answers)
    if keys is not None:
        shown = ", ".join(keys[:6]) + (", ..." if len(keys) > 6 else "")  # noqa: PLR2004 - a line
        return Narrowness("fields", counts.distinct, words, f"JSON with the fields {shown}")
    # Where nearly every answer is another one, few answers do not make a list of labels.
    is_list = (counts.repetition or 0.0) >= _REPEATED
    if is_list and covered >= _COVERED and words <= _LABEL_WORDS:
        reason = f"{min(counts.distinct, _MOST_LABELS)} answers make up {covered:.0%}"
        return Narrowness("labels", counts.distinct, words, reason)
    reason = f"{counts.distinct:,} different answers of {words:.0f} words"
    kind: AnswerKind = "short texts" if words <= _SHORT_WORDS else "free texts"
    return Narrowness(kind, counts.distinct, words, reason)


def _common_keys(answers: Sequence[str]) -> tuple[str, ...] | None:
    keys: Counter[str] = Counter()
    for answer in answers:
        match = _FENCE.match(answer)
        try:
            value = json.loads(match[1] if match else answer)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and value:
            keys.update(map(str, value))
    needed = _COVERED * len(answers)
    return tuple(key for key, count in keys.items() if count >= needed) or None

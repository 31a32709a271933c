"""`answer_fields`: an answer's JSON as fields beside what people say is right."""

import json
from dataclasses import dataclass
from typing import Any

from flywheel.workload.text_edits import Change, word_changes

__all__ = ["AnswerField", "answer_fields"]

_PROSE_WORDS = 8


@dataclass(frozen=True)
class AnswerField:
    """One field of an answer; ``name`` is empty for an answer that is one value.

    ``changes`` lead from this text to what people say, where both are texts of some length.
    """

    name: str
    value: str
    is_right: bool
    changes: tuple[Change, ...] = ()


def answer_fields(output: str | None, expected: str) -> list[AnswerField]:
    """Return the fields of an answer, each with whether it is as people say."""
    answer, right = _parsed(output), _parsed(expected)
    if isinstance(answer, dict) and isinstance(right, dict):
        names = [*right, *(name for name in answer if name not in right)]
        return [
            AnswerField(str(name), _text(answer.get(name)), answer.get(name) == right.get(name))
            for name in names
        ]
    return [AnswerField("", _text(answer), answer == right, _changes(answer, right))]


def _changes(answer: Any, right: Any) -> tuple[Change, ...]:
    # Of a label it is enough to see both.
    if not isinstance(answer, str) or not isinstance(right, str) or answer == right:
        return ()
    is_prose = max(len(answer.split()), len(right.split())) >= _PROSE_WORDS
    return tuple(word_changes(answer, right)) if is_prose else ()


def _parsed(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text


def _text(value: Any) -> str:
    if value is None:
        return "no answer"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

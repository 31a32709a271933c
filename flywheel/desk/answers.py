"""`answer_fields`: an answer's JSON as fields beside what people say is right."""

import json
from dataclasses import dataclass
from typing import Any

__all__ = ["AnswerField", "answer_fields"]


@dataclass(frozen=True)
class AnswerField:
    """One field of an answer; ``name`` is empty for an answer that is one value."""

    name: str
    value: str
    is_right: bool


def answer_fields(output: str | None, expected: str) -> list[AnswerField]:
    """Return the fields of an answer, each with whether it is as people say."""
    answer, right = _parsed(output), _parsed(expected)
    if isinstance(answer, dict) and isinstance(right, dict):
        names = [*right, *(name for name in answer if name not in right)]
        return [
            AnswerField(str(name), _text(answer.get(name)), answer.get(name) == right.get(name))
            for name in names
        ]
    return [AnswerField("", _text(answer), answer == right)]


def _parsed(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text


def _text(value: Any) -> str:
    if value is None:
        return "no answer"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

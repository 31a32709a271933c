"""`SubjectSpellings`: whether bytes that broke the contract name a person, in any spelling of the id.

A dead letter has no columns. The id may stand in it as its hash or as it came, in other capitals
or another Unicode form, escaped as JSON (also JSON inside JSON), percent-encoded, or inside a line
that an import set aside.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from flywheel.events.set_aside import decode_set_aside
from flywheel.io.folding import subject_key

__all__ = ["SubjectSpellings"]

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([\"/\\]))")
_MOST_ESCAPES = 3
_DEEPEST = 40
# An id of fewer characters is looked for as a whole JSON value only: "42" is in many texts.
_SHORTEST_WORD = 5
_PERSON_KEY = re.compile(
    r"user|subject|customer|person|client|member|patient|(^|_)u?id$", re.IGNORECASE
)


class SubjectSpellings:
    """The ids of one person, and of the calls that concern them.

    Args:
        subjects: The person's id as it came and its hash, as far as they are known.
        inference_ids: Ids of the person's calls, which feedback names instead of the person.
    """

    def __init__(self, subjects: Collection[str], inference_ids: Collection[str] = ()) -> None:
        self._ids = {subject_key(one) for one in (*subjects, *inference_ids) if one}
        longer = sorted(one for one in self._ids if len(one) >= _SHORTEST_WORD)
        words = "|".join(re.escape(one) for one in longer)
        self._word = re.compile(rf"(?<![\w-])(?:{words})(?![\w-])") if longer else None

    def are_in(self, value: bytes) -> bool:
        """Return whether the bytes name the person."""
        return any(self._names(text) for text in _readings(value))

    def _names(self, text: str) -> bool:
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            return self._is_word_of(text)
        return any(self._is_id(key, leaf) for key, leaf in _leaves(parsed))

    def _is_id(self, key: str, leaf: Any) -> bool:
        # A whole value: what another person writes about this one is the other's text.
        if isinstance(leaf, bool) or leaf is None:
            return False
        if isinstance(leaf, str):
            return subject_key(leaf) in self._ids
        return bool(_PERSON_KEY.search(key)) and subject_key(str(leaf)) in self._ids

    def _is_word_of(self, text: str) -> bool:
        return self._word is not None and any(
            self._word.search(subject_key(form)) for form in _unescaped(text)
        )


def _readings(value: bytes) -> Iterator[str]:
    yield value.decode("utf-8", "replace")
    if value[:2] in (b"\xff\xfe", b"\xfe\xff"):
        yield value.decode("utf-16", "replace")
    line = decode_set_aside(value)
    if line is not None:
        yield line.content.decode("utf-8", "replace")


def _unescaped(text: str) -> Iterator[str]:
    yield text
    if "%" in text:
        yield unquote(text)
    for _ in range(_MOST_ESCAPES):
        plain = _ESCAPE.sub(_character, text)
        if plain == text:
            return
        # Surrogate pairs become their character.
        text = plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        yield text


def _character(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if match[1] else match[2]


def _leaves(value: Any, key: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield key, name
            yield from _leaves(inner, name, depth + 1)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from _leaves(inner, key, depth + 1)
    else:
        yield key, value
        inner = _inner_json(value)
        if inner is not None:
            yield from _leaves(inner, key, depth + 1)


def _inner_json(value: Any) -> Any:
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None

"""`Spellings` and `show_invisible`: which spellings mean the same, and what the eye cannot see."""

import re
import unicodedata
from collections.abc import Iterable

from flywheel.io.folding import UNSEEN, label_key

__all__ = ["Spellings", "show_controls", "show_invisible", "trim"]

_SPACE = "Zs"  # a space other than the ordinary one looks like it
# What moves the cursor, recolors or relinks (C0 and C1 controls), reverses the order of letters, or
# cannot be encoded. A newline, a tab and the joiners of an emoji are of ordinary texts.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


class Spellings:
    """Names that other spellings are read as, where one alone can be meant."""

    def __init__(self, names: Iterable[str]) -> None:
        self._exact = frozenset(names)
        self._by_key: dict[str, set[str]] = {}
        for name in self._exact:
            self._by_key.setdefault(label_key(name), set()).add(name)

    def find(self, text: str) -> str | None:
        """Return the name that ``text`` is, or differs from in case and blanks alone."""
        if text in self._exact:
            return text
        names = self._by_key.get(label_key(text), set())
        return next(iter(names)) if len(names) == 1 else None


def trim(text: str) -> str:
    """Remove blanks and invisible format characters from both ends."""
    start, end = 0, len(text)
    while start < end and _is_blank(text[start]):
        start += 1
    while end > start and _is_blank(text[end - 1]):
        end -= 1
    return text[start:end]


def show_invisible(text: str, *, limit: int = 120) -> str:
    """Write a text on one line, each character that cannot be seen as its code, such as [U+00A0]."""
    visible = "".join(_shown(character) for character in text[:limit])
    return f"{visible}…" if len(text) > limit else visible


def show_controls(text: str) -> str:
    """Write each character that a terminal would obey as its code, such as [U+001B]; lines stay."""
    return _CONTROLS.sub(lambda match: f"[U+{ord(match[0]):04X}]", text)


def _shown(character: str) -> str:
    if character in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[character]
    category = unicodedata.category(character)
    if category in UNSEEN or (category == _SPACE and character != " "):
        return f"[U+{ord(character):04X}]"
    return character


def _is_blank(character: str) -> bool:
    # A joiner within an emoji is never at an end of it.
    return character.isspace() or unicodedata.category(character) == "Cf"

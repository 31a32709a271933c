"""Lines about similar inputs, as annotators see them: written, and taken back."""

from collections.abc import Collection

__all__ = ["neighbor_line", "without_texts"]

_CHARACTERS = 140
_ARROW = " ← "


def neighbor_line(answer: str, text: str) -> str:
    """Write an answer and the input that got it, shortened, in one line."""
    return f"{answer}{_ARROW}{_shortened(text)}"


def without_texts(lines: str, texts: Collection[str]) -> str:
    """Return the lines less those that show one of the texts; others stay as they are."""
    ends = tuple(_ARROW + _shortened(text) for text in texts)
    return "\n".join(line for line in lines.split("\n") if not ends or not line.endswith(ends))


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _CHARACTERS else line[: _CHARACTERS - 1] + "…"

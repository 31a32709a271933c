"""`figure_lines`: figures of a look, nested as they are, as names and texts."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["figure_lines"]

_MOST = 60


def figure_lines(figures: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return name and text of each figure; those within others carry both names."""
    lines: list[tuple[str, str]] = []
    for name, value in figures.items():
        words = f"{prefix}{str(name).replace('_', ' ')}"
        if isinstance(value, Mapping):
            lines += figure_lines(value, f"{words}: ")
        elif isinstance(value, Sequence) and not isinstance(value, str):
            lines.append((words, " to ".join(_text(one) for one in value)))
        else:
            lines.append((words, _text(value)))
    return lines[:_MOST]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if value == round(value) else f"{value:.4g}"
    return "none" if value is None else str(value)

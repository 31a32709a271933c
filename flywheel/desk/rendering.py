"""`Renderer`: templates with escaping everywhere, and how figures and moments are written."""

from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flywheel.desk.answers import answer_fields
from flywheel.desk.figures import figure_lines
from flywheel.desk.pictures import interval_bars, look_dots
from flywheel.io.spelling import show_controls

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["Renderer"]

NOT_MEASURED = "\u2013"
_FOLDER = Path(__file__).parent / "templates"


class Renderer:
    """Render the templates of the desk; a name that a template does not get is an error."""

    @cached_property
    def _environment(self) -> "Environment":
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        environment = Environment(
            loader=FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_harmless,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {
            "share": write_share,
            "change": write_change,
            "figure": write_figure,
            "count": write_count,
            "moment": write_moment,
            "words": _words,
        }
        environment.globals |= {
            "answer_fields": answer_fields,
            "figure_lines": figure_lines,
            "interval_bars": interval_bars,
            "look_dots": look_dots,
        }
        return environment

    def render(self, template: str, **values: Any) -> str:
        """Return a page as HTML."""
        return self._environment.get_template(template).render(**values)

    @cached_property
    def stylesheet(self) -> bytes:
        """The one stylesheet."""
        return (_FOLDER / "desk.css").read_bytes()


def write_share(value: float | None, digits: int = 1) -> str:
    """Write a share in [0, 1] in percent."""
    return NOT_MEASURED if value is None else f"{value * 100:.{digits}f} %"


def write_change(value: float | None, digits: int = 1) -> str:
    """Write a difference of shares in percentage points with its sign."""
    if value is None:
        return NOT_MEASURED
    points = round(value * 100, digits)
    sign = "+" if points > 0 else "\u2212" if points < 0 else "\u00b1"
    return f"{sign}{abs(points):.{digits}f}"


def write_figure(value: float | None, digits: int = 3) -> str:
    """Write a number, or a dash where nothing was measured."""
    return NOT_MEASURED if value is None else f"{value:,.{digits}f}"


def write_count(value: float | None) -> str:
    """Write a count with thousands apart."""
    return NOT_MEASURED if value is None else f"{value:,.0f}"


def write_moment(value: datetime | str | None) -> str:
    """Write a moment in UTC to the minute."""
    if value is None:
        return NOT_MEASURED
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _words(text: str) -> str:
    return text.replace("_", " ")


def _harmless(value: Any) -> Any:
    # What reverses or hides letters is shown as its code, wherever a text comes from.
    return show_controls(value) if type(value) is str else value

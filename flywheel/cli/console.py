"""`Console` and `echo` of the commands: no text of a client moves or recolors the terminal.

A console is as wide as the terminal, and as wide as the text where there is none.
"""

from collections.abc import Iterable
from typing import Any

import rich.console
import typer
from rich.segment import Segment

from flywheel.io.spelling import show_controls

__all__ = ["Console", "echo"]

# Wider than any row of a table: a file or a pipe gets ids and commands in one piece.
_UNLIMITED = 10_000


class Console(rich.console.Console):
    """Print to a terminal at its width, and to anything else without wrapping or cutting.

    Control characters of a text are shown as their codes; Rich's own colors and movements are sent.
    """

    def __init__(self, **options: Any) -> None:
        """Take the options of Rich's console."""
        super().__init__(**{"highlight": False} | options)

    def render(
        self,
        renderable: rich.console.RenderableType,
        options: rich.console.ConsoleOptions | None = None,
    ) -> Iterable[Segment]:
        """Render as Rich does, each text harmless: all that is printed comes by here."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield segment._replace(text=show_controls(segment.text))

    @property
    def size(self) -> rich.console.ConsoleDimensions:
        """Width and height in characters."""
        if not self.is_terminal:
            return rich.console.ConsoleDimensions(_UNLIMITED, super().size.height)
        return super().size

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size


def echo(line: str) -> None:
    """Print a line as it is, except for its control characters, which are shown as their codes."""
    typer.echo(show_controls(line))

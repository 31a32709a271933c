"""Console of the commands: as wide as the terminal, and as wide as the text where there is none."""

from typing import Any

import rich.console

__all__ = ["Console"]

# Wider than any row of a table: a file or a pipe gets ids and commands in one piece.
_UNLIMITED = 10_000


class Console(rich.console.Console):
    """Print to a terminal at its width, and to anything else without wrapping or cutting."""

    def __init__(self, **options: Any) -> None:
        """Take the options of Rich's console."""
        super().__init__(**{"highlight": False} | options)

    @property
    def size(self) -> rich.console.ConsoleDimensions:
        """Width and height in characters."""
        if not self.is_terminal:
            return rich.console.ConsoleDimensions(_UNLIMITED, super().size.height)
        return super().size

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size

"""`Parts`, read one by one so that a broken one hides no other; `page_of` a long list."""

from collections.abc import Callable
from typing import TypeVar

from flywheel.errors import FlywheelError

__all__ = ["Parts", "page_of"]

T = TypeVar("T")


class Parts:
    """Read parts of a page and collect what could not be read."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def read(self, name: str, read: Callable[[], T], default: T) -> T:
        """Return a part, or the default where it cannot be read; the problem is kept."""
        try:
            return read()
        except FlywheelError as error:
            step = f" Next: {error.next_step}." if error.next_step else ""
            self.problems.append(f"{name} could not be read: {error.message}{step}")
            return default

    def read_list(self, name: str, read: Callable[[], list[T]]) -> list[T]:
        """Return the entries of a part; none where it cannot be read."""
        return self.read(name, read, [])


def page_of(count: int, size: int, page: int) -> tuple[int, int]:
    """Return the page that is shown, within those that there are, and how many there are."""
    pages = max(1, -(-count // size))
    return min(max(1, page), pages), pages

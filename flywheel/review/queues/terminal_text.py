"""Text of the terminal: `plain` makes it harmless, `match_options` reads what was typed."""

from collections.abc import Callable, Sequence

from flywheel.io.spelling import show_controls
from flywheel.ports.review_queue import AnnotationKind

__all__ = ["Ask", "Command", "NewCategory", "Undo", "match_options", "plain", "raise_command"]

Ask = Callable[[str], str]
"""Shows a prompt and returns a line."""
_COMMANDS: dict[str, AnnotationKind | None] = {"q": None, "s": "skipped", "?": "cant_tell"}


class Command(Exception):  # noqa: N818 - ends one question, is not a failure
    """A person ends the item without an answer; without a kind, the session."""

    def __init__(self, kind: AnnotationKind | None) -> None:
        super().__init__()
        self.kind = kind


class Undo(Exception):  # noqa: N818 - as above
    """A person goes back by one question."""


class NewCategory(Exception):  # noqa: N818 - as above
    """No label fits: a person names a new one."""


def raise_command(typed: str) -> None:
    """Raise Command or Undo where that is what was typed, whatever the question."""
    if typed == "u":
        raise Undo
    if typed in _COMMANDS:
        raise Command(_COMMANDS[typed])


def match_options(typed: str, options: Sequence[str]) -> list[str]:
    """Return the options that a person may mean: by number, name, part, or letters in order."""
    if typed.isdecimal() and 1 <= int(typed) <= len(options):
        return [options[int(typed) - 1]]
    folded = typed.casefold().strip()
    exact = [option for option in options if option.casefold() == folded]
    part = [option for option in options if folded in option.casefold()]
    return exact or part or [option for option in options if _in_order(folded, option.casefold())]


def plain(text: str) -> str:
    """Show control characters as their codes: they could write over what stands on the screen."""
    return show_controls(text)


def _in_order(letters: str, text: str) -> bool:
    rest = iter(text)
    return all(letter in rest for letter in letters)

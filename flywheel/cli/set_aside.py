"""What was set aside, as commands print it: one line each, with its id, author and reason."""

from collections.abc import Sequence

from rich.text import Text

from flywheel.cli.console import Console
from flywheel.io.spelling import show_controls
from flywheel.ports.review_queue import SetAside

__all__ = ["show_set_aside"]

_MOST = 20


def show_set_aside(console: Console, aside: Sequence[SetAside], where: str) -> None:
    """Print what was set aside, the first twenty with their reasons; nothing where there is none.

    Args:
        console: where it is printed.
        aside: what was set aside.
        where: where it lies, for the first line.
    """
    if not aside:
        return
    console.print(Text(f"set aside {where}: {len(aside)} (the rest was taken)", style="yellow"))
    for one in aside[:_MOST]:
        author = f" by {one.author}" if one.author else ""
        item = f" on {one.item_id}" if one.item_id and one.item_id not in one.id else ""
        line = show_controls(f"  {one.id}{author}{item}: {one.reason}").replace("\n", " ")
        console.print(Text(line), soft_wrap=True)
    if len(aside) > _MOST:
        console.print(f"  and {len(aside) - _MOST} more: `flywheel review status --json`")

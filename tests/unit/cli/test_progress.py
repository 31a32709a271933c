"""Progress of long work where there is no terminal."""

import io

from flywheel.cli.console import Console
from flywheel.cli.progress import ProgressLines


def test_a_pipe_is_not_silent_for_long():
    """A line at the beginning, at every tenth, and again after some seconds without news."""
    now, text = [0.0], io.StringIO()
    lines = ProgressLines(Console(file=text), silent_seconds=10, clock=lambda: now[0])
    lines.show("starting the trainer")
    lines.print_if_silent()
    now[0] = 12.0
    lines.print_if_silent()
    lines.print_if_silent()
    lines.show("sft, loss 1.0", 1, 20)
    lines.show("sft, loss 0.9", 2, 20)
    lines.end_step("train", "done")
    now[0] = 60.0
    lines.print_if_silent()
    assert text.getvalue().splitlines() == [
        "  starting the trainer",
        "  starting the trainer (after 12 s)",
        "  sft, loss 1.0: 1 of 20",
        "  sft, loss 0.9: 2 of 20",
        "train: done",
    ]

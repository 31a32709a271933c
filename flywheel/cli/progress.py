"""`ProgressLines`: progress of long work, a bar in a terminal and a line now and then elsewhere."""

import threading
import time
from collections.abc import Callable
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from flywheel.cli.console import Console

__all__ = ["ProgressLines"]

_PERCENT = 10
# A pipe that was silent for longer than this looks like a command that hangs.
_SILENT_SECONDS = 10.0


class ProgressLines:
    """A bar on a terminal; elsewhere a line at every tenth, and one after some seconds of silence.

    Safe to call from several threads.
    """

    def __init__(
        self,
        console: Console,
        *,
        silent_seconds: float = _SILENT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the console that the lines go to, and the longest silence in seconds."""
        self._console, self._silent_seconds, self._clock = console, silent_seconds, clock
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._break_silence, daemon=True)
        self._last = ("", -1)
        self._line = ""
        self._printed_at = self._begun_at = clock()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        if not self._console.is_terminal:
            self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._watch.is_alive():
            self._watch.join()
        self._bar.stop()

    def show(self, step: str, done: int = 0, total: int = 0) -> None:
        """Show what is done, of how much; a total of 0 is not known."""
        self._bar.update(self._task, description=step, completed=done, total=total or None)
        if self._console.is_terminal:
            return
        tenth = done * _PERCENT // total if total else 0
        kind = step.split(",", maxsplit=1)[0]
        with self._lock:
            if kind != self._last[0]:
                self._begun_at = self._clock()
            self._line = f"  {step}" + (f": {done} of {total}" if total else "")
            if (kind, tenth) != self._last:
                self._last = (kind, tenth)
                self._print(self._line)

    def end_step(self, step: str, result: str) -> None:
        """Print the result of a step."""
        with self._lock:
            self._last, self._line = ("", -1), ""
            self._print(f"{step}: {result}")

    def print_if_silent(self) -> None:
        """Print the present work again, with its age, where no line came for long."""
        with self._lock:
            now = self._clock()
            if self._line and now - self._printed_at >= self._silent_seconds:
                self._print(f"{self._line} (after {now - self._begun_at:.0f} s)")

    def _break_silence(self) -> None:
        while not self._done.wait(min(1.0, self._silent_seconds)):
            self.print_if_silent()

    def _print(self, text: str) -> None:
        self._printed_at = self._clock()
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

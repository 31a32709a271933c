"""Say at every moment what is being waited for and where to look, and how long each part took."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from rich.console import Console
from rich.text import Text

from flywheel.errors import UnavailableError
from flywheel.io.patience import Patience, poll

__all__ = ["ProgressReporter"]

_T = TypeVar("_T")
_POLL_SECONDS = 1.0


@dataclass
class ProgressReporter:
    """Lines for a person, and the wall seconds of each part by its name."""

    console: Console
    seconds: dict[str, float] = field(default_factory=dict)
    _started: float = field(default_factory=time.perf_counter)
    _show: Callable[[str], None] = field(default=lambda _: None)
    _shown: str = ""

    @property
    def elapsed(self) -> float:
        """Seconds since the loop began."""
        return time.perf_counter() - self._started

    @contextmanager
    def part(self, name: str) -> Iterator[Callable[[str], None]]:
        """Time a part; what is reported inside becomes its line at the end."""
        began, notes = time.perf_counter(), list[str]()
        with self.console.status(Text(f"{name} …")) as status:
            self._show = lambda text: status.update(Text(f"{name}: {text}"))
            try:
                yield notes.append
            finally:
                self._show = lambda _: None
        seconds = time.perf_counter() - began
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        line = Text(f"{self.elapsed:6.0f} s  ", style="dim")
        line.append(f"{name:<10}", style="cyan")
        line.append(f" {' · '.join(notes)}").append(f"  ({seconds:.0f} s)", style="dim")
        self.console.print(line)

    def show(self, text: str) -> None:
        """Show progress inside the present part."""
        if text == self._shown:
            return
        self._shown = text
        self._show(text)
        if not self.console.is_terminal:
            self.console.print(Text(f"          {text}", style="dim"), soft_wrap=True)

    def wait(
        self,
        condition: Callable[[], _T | None],
        goal: str,
        *,
        where: str,
        seconds: float = 600,
        check: Callable[[], None] = lambda: None,
    ) -> _T:
        """Wait until a condition holds and return what it returned.

        Args:
            condition: asked once a second.
            goal: is being waited for.
            where: a person can look meanwhile.
            seconds: until it is given up, on a machine that is not busy with anything else.
            check: raises where the condition can no longer come true.
        """
        self.show(f"waiting for {goal} ({where})")
        answer = poll(condition, Patience(seconds), pause=_POLL_SECONDS, check=check)
        if not answer:
            raise UnavailableError(
                f"After {seconds:.0f} s still not: {goal}.", next_step=f"look at {where}"
            )
        return answer

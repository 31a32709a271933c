"""One line per stage while the demo runs, and where the time went."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text

__all__ = ["Progress"]


@dataclass
class Progress:
    """Print a line when a stage ends, and keep the wall seconds per stage."""

    console: Console
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _started: float = field(default_factory=time.perf_counter)

    @property
    def elapsed(self) -> float:
        """Seconds since the demo began."""
        return time.perf_counter() - self._started

    def title(self, text: str) -> None:
        """Print a heading."""
        self.console.print(Text(f"\n{text}", style="bold"))

    @contextmanager
    def stage(self, name: str) -> Iterator[list[str]]:
        """Time a stage; what is put into the list is told on its line."""
        told: list[str] = []
        started = time.perf_counter()
        with self.console.status(Text(f"{name} …")):
            yield told
        taken = time.perf_counter() - started
        self.seconds[name] += taken
        line = Text(f"  {self.elapsed:6.1f} s  ", style="dim")
        line.append(f"{name:<10}", style="cyan")
        line.append(f" {' · '.join(told)}", style="default")
        line.append(f"  ({taken:.1f} s)", style="dim")
        self.console.print(line)

"""One line per stage while the demo runs, and where the time went."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.text import Text

from flywheel.ports.train_launcher import (
    StandbyLauncher,
    TrainLauncher,
    TrainProgress,
    TrainResult,
    TrainSpec,
    ignore_notice,
)

__all__ = ["AnnouncingLauncher", "Progress", "Stage"]


@dataclass
class Stage:
    """What a running stage shows meanwhile, and what its line tells in the end."""

    show: Callable[[str], None]
    told: list[str] = field(default_factory=list)

    def tell(self, *parts: str) -> None:
        """Add to the stage's line."""
        self.told += parts


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
    def stage(self, name: str) -> Iterator[Stage]:
        """Time a stage and print its line when it ends."""
        started = time.perf_counter()
        with self.console.status(Text(f"{name} …")) as status:
            stage = Stage(lambda text: status.update(Text(f"{name}: {text}")))
            yield stage
        seconds = time.perf_counter() - started
        self.seconds[name] += seconds
        if not any(stage.told):
            return  # nothing was to be done
        line = Text(f"  {self.elapsed:6.1f} s  ", style="dim")
        line.append(f"{name:<10}", style="cyan")
        line.append(
            f" {' · '.join(line_part for line_part in stage.told if line_part)}", style="default"
        )
        line.append(f"  ({seconds:.1f} s)", style="dim")
        self.console.print(line)


@dataclass
class AnnouncingLauncher:
    """A train launcher that also shows each step in the terminal, where ``show`` is set."""

    launcher: TrainLauncher
    show: Callable[[str], None] = ignore_notice

    def prepare(self) -> None:
        """Start the trainer of the next cycle early, where trainers run on this machine."""
        if isinstance(self.launcher, StandbyLauncher):
            self.launcher.prepare()

    def close(self) -> None:
        """End a trainer that no cycle asked for."""
        if isinstance(self.launcher, StandbyLauncher):
            self.launcher.close()

    def run(
        self,
        spec: TrainSpec,
        out: Path,
        *,
        on_progress: Callable[[TrainProgress], None],
        on_notice: Callable[[str], None] = ignore_notice,
    ) -> TrainResult:
        """Run the trainer, and show and pass on its progress and notices."""

        def both(step: TrainProgress) -> None:
            on_progress(step)
            self.show(
                f"training {spec.release}: step {step.step}/{step.steps}, loss {step.loss:.3f}"
            )

        def notice(text: str) -> None:
            on_notice(text)
            self.show(text)

        return self.launcher.run(spec, out, on_progress=both, on_notice=notice)

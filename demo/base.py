"""The demo's base model: built on the first run, by a process beside the one that plays.

``python -m demo.base`` is that process; each line of its errors' stream says how far it is.
"""

import importlib
import subprocess
import sys
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from demo.calendar import START
from flywheel.artifacts.base_folder import BaseModel
from flywheel.cli.program import run_program
from flywheel.clock import ManualClock
from flywheel.errors import DataError, NotFoundError
from flywheel.settings import load_settings
from flywheel.simulation.traffic import pretraining_texts
from flywheel.wiring import Platform

__all__ = ["SEED", "WORKLOAD", "BaseBuild"]

WORKLOAD = "defect_reports"
SEED = 7
_TEXTS = 6000
# The demo comes to them later; a core is free while the base is built.
_LIBRARIES = ("transformers", "evidently", "mlflow", "openai", "definitions")
_SHOWN = 5


class BaseBuild:
    """The process that builds the base, where it is not there yet.

    One that is there is kept: with the labels that the owner adds later it would be another one.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Begin to build, and load the libraries of the demo meanwhile."""
        try:
            self._base()
        except NotFoundError:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "demo.base"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for library in _LIBRARIES:
                importlib.import_module(library)

    def finish(self, on_progress: Callable[[str], None]) -> BaseModel:
        """Wait for the base and return it.

        Raises:
            DataError: it could not be built.
        """
        lines = []
        if self._process is not None and self._process.stderr is not None:
            with self._process as process:
                for line in self._process.stderr:
                    lines.append(line.strip())
                    on_progress(lines[-1])
            if process.returncode:
                raise DataError(
                    f"The base model was not built: {' '.join(lines[-_SHOWN:])}",
                    next_step="mend what it names and run the demo again",
                )
        return self._base()

    def _base(self) -> BaseModel:
        return self._platform.base(self._platform.workload(WORKLOAD))


def _build(console: Console) -> dict[str, object]:
    platform = Platform(load_settings(), ManualClock(START))
    try:
        base = platform.build_base(
            platform.workload(WORKLOAD),
            pretraining_texts(count=_TEXTS, seed=SEED),
            on_progress=lambda line: console.print(Text(line)),
        )
        return {"base": base.name, "digest": base.digest}
    finally:
        platform.close()


if __name__ == "__main__":
    sys.exit(run_program(_build, as_json=True) is None)

"""`CodeFiles`: what Dagster's code location is made of, and whether it has changed since a server read it."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

import flywheel

__all__ = ["CodeFiles"]

_PACKAGE = Path(flywheel.__file__).parent


class CodeFiles:
    """The workload files, the settings' file and the code of a location.

    Args:
        workloads: folder of the workload files.
        project: folder with ``definitions.py``.
    """

    def __init__(self, workloads: Path, project: Path) -> None:
        self._workloads = workloads
        self._project = project
        self._before = self._now()

    def have_changed(self) -> bool:
        """Return whether a file was added, removed or written since the last call."""
        before, self._before = self._before, self._now()
        return self._before != before

    def _now(self) -> frozenset[tuple[str, int, int]]:
        return frozenset(_marks(self._paths()))

    def _paths(self) -> Iterator[Path]:
        code = (self._project / "assets", self._project / "sensors", _PACKAGE)
        return chain(
            self._workloads.glob("*.yaml"),
            [self._project / "flywheel.toml"],
            self._project.glob("*.py"),
            *(folder.rglob("*.py") for folder in code),
        )


def _marks(paths: Iterable[Path]) -> Iterator[tuple[str, int, int]]:
    for path in paths:
        with suppress(FileNotFoundError):  # a settings' file need not be there
            state = path.stat()
            yield str(path), state.st_mtime_ns, state.st_size

"""The simulated truth, kept in a file of its own that only simulated people read.

No event, table or dataset holds it, and nothing outside ``flywheel.simulation`` opens it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from flywheel.errors import IntegrityError
from flywheel.io.atomic import write_text
from flywheel.workload.answers import canonical_json

__all__ = ["SimulatedTruth"]


class _HasTruth(Protocol):
    @property
    def inference_id(self) -> str: ...

    @property
    def truth(self) -> Any: ...


class SimulatedTruth(Mapping[str, Any]):
    """True answers by ``inference_id``, in ``<home>/simulated/truth-<workload>.jsonl``."""

    def __init__(self, home: Path, workload_id: str) -> None:
        self.path = home / "simulated" / f"truth-{workload_id}.jsonl"
        self._truth: dict[str, Any] = {}
        if self.path.exists():
            self._truth = dict(_read(self.path))

    def remember(self, calls: Iterable[_HasTruth]) -> int:
        """Add the truth of calls and return how many were new; a repeated call is left alone."""
        new = {c.inference_id: c.truth for c in calls if c.inference_id not in self._truth}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(canonical_json([key, value]) + "\n" for key, value in new.items())
        self._truth |= new
        return len(new)

    def __getitem__(self, inference_id: str) -> Any:
        return self._truth[inference_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._truth)

    def __len__(self) -> int:
        return len(self._truth)


def _read(path: Path) -> Iterator[tuple[str, Any]]:
    text = path.read_text(encoding="utf-8")
    lines = text.split("\n")
    if lines.pop():
        # A process killed while writing leaves half a line: it is cut off, and the calls it
        # belonged to are generated and remembered again.
        write_text(path, "".join(f"{line}\n" for line in lines))
    for number, line in enumerate(lines, start=1):
        try:
            inference_id, truth = json.loads(line)
        except ValueError as error:
            raise IntegrityError(
                f"{path}, line {number}, is damaged.",
                next_step="delete the demo's home and start it again",
            ) from error
        yield inference_id, truth

"""`HomePaths`: paths of a deployment's own files, stored relative to its home.

A home that is moved, copied or restored elsewhere then names its own files. Rows of earlier
versions hold absolute paths; such a path is read as the file of the same name in this home, where
there is one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flywheel.artifacts.gate_file import GATE_REPORT
from flywheel.artifacts.references import DATASET_FOLDER
from flywheel.io.records import JsonObject

__all__ = ["PATH_FACTS", "HomePaths"]

# The facts of attempts, releases and audit rows that are paths.
PATH_FACTS = (DATASET_FOLDER, GATE_REPORT)
_TOP_FOLDERS = ("datasets", "runs")


@dataclass(frozen=True)
class HomePaths:
    """Translate paths between rows and the file system; without a home they stay as they are."""

    home: Path | None

    def stored(self, path: str) -> str:
        """Return a path as rows hold it: relative where it lies in the home."""
        if self.home is None or not Path(path).is_absolute():
            return path
        try:
            return Path(path).relative_to(self.home.absolute()).as_posix()
        except ValueError:
            return path

    def resolved(self, stored: str) -> str:
        """Return the absolute path that a row means in this home."""
        if self.home is None or not stored:
            return stored
        path = Path(stored)
        if not path.is_absolute():
            return str(self.home.absolute() / path)
        if path.is_relative_to(self.home.absolute()):
            return stored
        for index, part in enumerate(path.parts):
            own = self.home.absolute().joinpath(*path.parts[index:])
            if part in _TOP_FOLDERS and own.exists():
                return str(own)
        return stored

    def stored_facts(self, facts: Mapping[str, Any]) -> JsonObject:
        """Return facts with their paths as rows hold them."""
        return {k: self.stored(v) if _is_path(k, v) else v for k, v in facts.items()}

    def resolved_facts(self, facts: Mapping[str, Any]) -> JsonObject:
        """Return facts with their paths as they are in this home."""
        return {k: self.resolved(v) if _is_path(k, v) else v for k, v in facts.items()}


def _is_path(name: str, value: object) -> bool:
    return name in PATH_FACTS and isinstance(value, str)

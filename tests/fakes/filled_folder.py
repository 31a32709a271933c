"""`FilledFolders`: what many tests begin with, filled once in a process and copied from then on.

A lake, a queue or a state that is filled takes tenths of a second of a core, its copy milliseconds.
"""

import copy
import shutil
import tempfile
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TypeVar

__all__ = ["FilledFolders"]

Result = TypeVar("Result")


class FilledFolders:
    """Folders by what they were filled with; they go with the process.

    What opened the folder before it was filled must read nothing of it into memory until then: a
    `Lake` and a queue do not, a `State` is opened by what fills the folder.
    """

    def __init__(self) -> None:
        self._root = tempfile.TemporaryDirectory(prefix="flywheel-filled-")
        self._filled: dict[Hashable, tuple[Path, object]] = {}

    def fill(self, folder: Path, key: Hashable, make: Callable[[], Result]) -> Result:
        """Fill an empty folder, with a copy where that was done before; return what ``make`` returned.

        Args:
            folder: holds nothing yet.
            key: what it is filled with: equal keys, equal content.
            make: fills it; its result must not depend on where the folder is.
        """
        if key in self._filled:
            template, result = self._filled[key]
            shutil.copytree(template, folder, dirs_exist_ok=True)
        else:
            assert not any(path.is_file() for path in folder.rglob("*"))
            result = make()
            template = Path(self._root.name) / str(len(self._filled))
            shutil.copytree(folder, template)
            self._filled[key] = template, copy.deepcopy(result)
        return copy.deepcopy(result)  # type: ignore[return-value]

"""`EventIds`: the ids of every landed event, as sorted hashes with the folder that holds their rows.

A hash says where to look, never that two ids are the same. Runs of sorted hashes are merged when a
newer one has grown half as large, so that what a day brings is compared with the whole history by a
few binary searches, and each id is copied a few times in all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["EventIds", "Folders", "IdRun", "Keys"]

Keys = npt.NDArray[np.uint64]
Folders = npt.NDArray[np.int32]


@dataclass(frozen=True)
class IdRun:
    """Sorted hashes of ids, and the number of the folder of each; ``name`` is that of its files.

    ``name`` is empty while the run is in memory alone.
    """

    keys: Keys
    folders: Folders
    name: str = ""

    def __len__(self) -> int:
        """Return how many ids there are."""
        return len(self.keys)


class EventIds:
    """A growing set of pairs (hash of an id, folder of its row)."""

    def __init__(self, runs: Sequence[IdRun] = ()) -> None:
        self.runs = list(runs)

    def add(self, keys: Keys, folder: int) -> tuple[Keys, Folders]:
        """Add the ids of rows of one folder, and return which of them are there more than once.

        Args:
            keys: hashes of the ids, one a row, in any order.
            folder: number of the folder.

        Returns:
            Hashes that came several times, and the numbers of all folders that hold them; both in no
            order and with repeats.
        """
        distinct, counts = np.unique(keys, return_counts=True)
        again, folders = [distinct[counts > 1]], [np.zeros(0, np.int32)]
        present = np.zeros(len(distinct), dtype=bool)
        for run in self.runs:
            rows, of_rows = _matches(run, distinct)
            again.append(distinct[rows])
            folders.append(of_rows)
            present[rows[of_rows == folder]] = True
        fresh = distinct[~present]
        if len(fresh):
            self._push(IdRun(fresh, np.full(len(fresh), folder, np.int32)))
        repeated = np.concatenate(again)
        here = np.full(1 if len(repeated) else 0, folder, np.int32)
        return repeated, np.concatenate([*folders, here])

    def folders_of(self, keys: Keys) -> set[int]:
        """Return the numbers of the folders that hold rows with one of these hashes."""
        distinct = np.unique(keys)
        return {int(n) for run in self.runs for n in np.unique(_matches(run, distinct)[1])}

    def _push(self, run: IdRun) -> None:
        while self.runs and len(self.runs[-1]) < 2 * len(run):
            run = _merged(self.runs.pop(), run)
        self.runs.append(run)


def _matches(run: IdRun, keys: Keys) -> tuple[npt.NDArray[np.intp], Folders]:
    # For every pair of a key and an equal entry of the run: the key's place and the entry's folder.
    first = np.searchsorted(run.keys, keys, side="left")
    inside = np.flatnonzero(first < len(run.keys))
    places = inside[run.keys[first[inside]] == keys[inside]]
    first = first[places]
    counts = np.searchsorted(run.keys, keys[places], side="right") - first
    rows = np.repeat(places, counts)
    starts = np.repeat(first - (np.cumsum(counts) - counts), counts)
    return rows, run.folders[starts + np.arange(len(rows))]


def _merged(older: IdRun, newer: IdRun) -> IdRun:
    large, small = (older, newer) if len(older) >= len(newer) else (newer, older)
    places = np.searchsorted(large.keys, small.keys)
    return IdRun(
        np.insert(large.keys, places, small.keys), np.insert(large.folders, places, small.folders)
    )

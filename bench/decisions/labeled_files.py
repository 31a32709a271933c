"""The labeled files that questions are measured on, where they lie beside the checkout."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flywheel.io.delimited_file import read_delimited
from flywheel.simulation.labeled import LabeledRow, read_labeled

__all__ = ["LABELED_FILES", "LabeledFile"]

_DATA = Path(__file__).parents[2].parent / "shared" / "data"
_ONE_INTENT = re.compile(r"[a-z]+")
Rows = list[LabeledRow]


@dataclass(frozen=True)
class LabeledFile:
    """A data set of short texts with one label each, in its own split."""

    name: str
    folder: Path
    reader: Callable[[Path], tuple[Rows, Rows]]

    @property
    def present(self) -> bool:
        """Whether the data is on this machine."""
        return self.folder.is_dir()

    def read(self) -> tuple[Rows, Rows]:
        """Return its training and its test rows."""
        return self.reader(self.folder)


def _banking77(folder: Path) -> tuple[Rows, Rows]:
    train, test = (
        read_labeled(folder / f"{part}.csv", text_column="text", label_column="category")
        for part in ("train", "test")
    )
    return train, test


def _snips(folder: Path) -> tuple[Rows, Rows]:
    train, test = (
        [row for path in sorted(folder.glob(pattern)) for row in _utterances(path)]
        for pattern in ("train_*_full.json", "validate_*.json")
    )
    return train, test


def _utterances(path: Path) -> Rows:
    # One of the files holds Latin-1 bytes: of a word at most, and no two texts become one by it.
    ((intent, utterances),) = json.loads(path.read_text(encoding="utf-8", errors="replace")).items()
    texts = ("".join(part["text"] for part in item["data"]).strip() for item in utterances)
    return [LabeledRow(text, intent) for text in texts if text]


def _multidogo(folder: Path) -> tuple[Rows, Rows]:
    # Sentences of one intent; a few rows have several, or a slot's name in the intent's place.
    train, test = (_sentences(folder / "sentence" / f"{part}.tsv") for part in ("train", "test"))
    return train, test


def _sentences(path: Path) -> Rows:
    cells = (row for _, row in read_delimited(path, ["utterance", "intent"]))
    pairs = ((row["utterance"].strip(), row["intent"].strip()) for row in cells)
    return [
        LabeledRow(text, label) for text, label in pairs if text and _ONE_INTENT.fullmatch(label)
    ]


LABELED_FILES = (
    LabeledFile("banking77", _DATA / "banking77", _banking77),
    LabeledFile("snips", _DATA / "snips", _snips),
    LabeledFile("multidogo-insurance", _DATA / "multidogo-insurance", _multidogo),
)

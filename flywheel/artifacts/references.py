"""`SnapshotRef`, `CandidateRef`, `Lineage` and others: what one stage hands to the next.

The state keeps them as JSON in the columns ``facts`` of attempts and releases. ``to_facts`` and
``from_facts`` of a class are the only places that spell its keys; ``from_facts`` returns None where
one of them is missing. The reference to a gate report is in ``gate_file``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from flywheel.io.records import JsonObject

__all__ = [
    "DATASET_FOLDER",
    "CandidateRef",
    "DirectedReview",
    "FurtherTries",
    "Lineage",
    "Recordable",
    "SnapshotRef",
]

# Key of a path, which the state stores relative to its home.
DATASET_FOLDER = "dataset_folder"


class Recordable(Protocol):
    """What an attempt can be given to keep."""

    def to_facts(self) -> JsonObject:
        """Return the form in JSON."""


@dataclass(frozen=True)
class SnapshotRef:
    """The dataset of an attempt: folder, hash and rows by split."""

    folder: Path
    hash: str
    counts: Mapping[str, int]

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self | None:
        """Read the reference; None before the dataset was built."""
        if not {DATASET_FOLDER, "dataset_hash", "dataset_counts"} <= facts.keys():
            return None
        folder = Path(facts[DATASET_FOLDER])
        return cls(folder, facts["dataset_hash"], dict(facts["dataset_counts"]))

    def to_facts(self) -> JsonObject:
        """Return the form in JSON."""
        return {
            DATASET_FOLDER: str(self.folder),
            "dataset_hash": self.hash,
            "dataset_counts": dict(self.counts),
        }


@dataclass(frozen=True)
class CandidateRef:
    """The release that an attempt trained: its name, adapter, snapshot and run in MLflow."""

    release: str
    manifest_digest: str
    dataset_hash: str
    run_id: str

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self | None:
        """Read the reference in an attempt or an audit row; None before the training ended."""
        names = ("release", "manifest_digest", "dataset_hash", "run_id")
        if not set(names) <= facts.keys():
            return None
        return cls(*(str(facts[name]) for name in names))

    def to_facts(self) -> JsonObject:
        """Return the form in JSON."""
        return {
            "release": self.release,
            "manifest_digest": self.manifest_digest,
            "dataset_hash": self.dataset_hash,
            "run_id": self.run_id,
        }


@dataclass(frozen=True)
class DirectedReview:
    """The batches that were drawn for a gate's second look, in their order."""

    batches: tuple[str, ...] = ()

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Read the batches; none where none was drawn."""
        return cls(tuple(facts.get("directed_batches", ())))

    def to_facts(self) -> JsonObject:
        """Return the form in JSON."""
        return {"directed_batches": list(self.batches)}


@dataclass(frozen=True)
class FurtherTries:
    """Who asked, each time, that a release taken back from a stage may be reviewed again."""

    requested_by: tuple[str, ...] = ()

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Read the people; none where nobody asked."""
        return cls(tuple(facts.get("further_tries", ())))

    def to_facts(self) -> JsonObject:
        """Return the form in JSON."""
        return {"further_tries": list(self.requested_by)}


@dataclass(frozen=True)
class Lineage:
    """What a release was trained on and with, its run in MLflow and the metrics of its training."""

    dataset_folder: Path
    base_digest: str
    task_digest: str
    taxonomy_version: int
    run_id: str
    metrics: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self | None:
        """Read a release's lineage; None where the row does not hold all of it."""
        needed = {DATASET_FOLDER, "base_digest", "task_digest", "taxonomy_version", "run_id"}
        if not needed <= facts.keys():
            return None
        return cls(
            dataset_folder=Path(facts[DATASET_FOLDER]),
            base_digest=facts["base_digest"],
            task_digest=facts["task_digest"],
            taxonomy_version=int(facts["taxonomy_version"]),
            run_id=facts["run_id"],
            metrics=dict(facts.get("metrics", {})),
        )

    def to_facts(self) -> JsonObject:
        """Return the form in JSON."""
        return {
            DATASET_FOLDER: str(self.dataset_folder),
            "base_digest": self.base_digest,
            "task_digest": self.task_digest,
            "taxonomy_version": self.taxonomy_version,
            "run_id": self.run_id,
            "metrics": dict(self.metrics),
        }

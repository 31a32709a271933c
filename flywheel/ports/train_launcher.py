"""Port: where the trainer program runs. The program itself is the same everywhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from flywheel.workload.model import TrainingRecipe, Workload

__all__ = [
    "EXITS",
    "EXIT_BAD_DATA",
    "EXIT_BAD_SPEC",
    "EXIT_DISK_FULL",
    "EXIT_INTERRUPTED",
    "EXIT_OUT_OF_MEMORY",
    "StandbyLauncher",
    "TrainLauncher",
    "TrainProgress",
    "TrainResult",
    "TrainSpec",
    "ignore_notice",
]

EXIT_BAD_SPEC = 64
EXIT_BAD_DATA = 65
EXIT_OUT_OF_MEMORY = 66
EXIT_DISK_FULL = 74
EXIT_INTERRUPTED = 75
EXITS = frozenset(
    {EXIT_BAD_SPEC, EXIT_BAD_DATA, EXIT_OUT_OF_MEMORY, EXIT_DISK_FULL, EXIT_INTERRUPTED}
)


class TrainSpec(BaseModel):
    """Everything the trainer needs; written as the JSON file it is started with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    release: str = Field(description="immutable name of the adapter to be")
    workload: Workload
    cycle: str
    attempt: int
    base_folder: Path
    base_digest: str
    surfaces: dict[str, str] = Field(description="text that stands for each label id")
    dataset_folder: Path
    dataset_hash: str
    recipe: TrainingRecipe
    seed: int
    git_revision: str = ""


class TrainProgress(BaseModel):
    """One line of progress."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int = Field(description="over all stages")
    steps: int
    epoch: float
    loss: float
    tokens_per_second: float
    seconds: float
    memory_bytes: int = Field(default=0, description="largest so far: of the GPU, or the process")
    stage: Literal["search", "sft", "preference"] = "sft"
    rewards: dict[str, float] = Field(default={}, description="of a preference stage")


class TrainResult(BaseModel):
    """What the trainer left behind, as ``result.json`` says it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Literal["succeeded"]
    release: str
    adapter: str = Field(description="adapter folder, relative to the output folder")
    manifest_digest: str = Field(description="sha256 of manifest.json")
    dataset_hash: str
    base_digest: str
    metrics: dict[str, float]
    resumed_from_step: int = 0
    versions: dict[str, str] = {}
    details: dict[str, Any] = {}


def ignore_notice(notice: str) -> None:
    """Ignore a notice."""


class TrainLauncher(Protocol):
    """Run the trainer to its end."""

    def run(
        self,
        spec: TrainSpec,
        out: Path,
        *,
        on_progress: Callable[[TrainProgress], None],
        on_notice: Callable[[str], None] = ignore_notice,
    ) -> TrainResult:
        """Run ``python -m flywheel.train`` on ``spec`` and return its verified result.

        Called by the training asset. ``out`` may hold the remains of an earlier try: a finished
        result for the same spec is verified and returned, a complete checkpoint is resumed from.
        ``on_notice`` receives a sentence for the person who waits: where it runs,
        what it waits for, that it was started again. InterruptedWorkError and UnavailableError mean
        try again; OutOfMemoryError, DataError and TrainingError that a person must act. A success
        whose manifest does not verify is an IntegrityError.
        """
        ...


@runtime_checkable
class StandbyLauncher(Protocol):
    """A launcher that can start a trainer before there is a spec for it."""

    def prepare(self) -> None:
        """Start a trainer that loads its libraries and waits for the next run."""
        ...

    def close(self) -> None:
        """End a trainer that no run asked for."""
        ...

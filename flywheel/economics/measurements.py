"""`Measurements`: what a deployment measured of one workload, before any price."""

from dataclasses import dataclass
from datetime import datetime

__all__ = ["Judgments", "Measurements", "ModelUse", "Trainings"]


@dataclass(frozen=True)
class ModelUse:
    """Answers of one model in a window; means are None where no answer carried the number.

    ``is_small`` says that a release of this deployment answered, or its base model.
    """

    model: str
    is_small: bool
    answers: int
    input_tokens: float | None = None
    output_tokens: float | None = None
    with_tokens: int = 0
    seconds: float | None = None
    with_seconds: int = 0


@dataclass(frozen=True)
class Judgments:
    """Judgments of people, overlap, adjudication and gold items included, and what they brought.

    ``accepted`` are corrections that people's judgments made; ``seconds`` is the median time of
    one, None where none was timed; ``simulated`` were made by a simulation.
    """

    count: int
    accepted: int
    seconds: float | None = None
    timed: int = 0
    simulated: int = 0


@dataclass(frozen=True)
class Trainings:
    """Finished trainings; ``hours`` is their sum."""

    count: int
    hours: float


@dataclass(frozen=True)
class Measurements:
    """Everything that was measured; ``days`` is the length of the window of answers.

    ``cycle`` is the newest one, with its own judgments and trainings; None before the first one.
    """

    workload_id: str
    start: datetime
    end: datetime
    days: float
    failed: int
    models: tuple[ModelUse, ...]
    judgments: Judgments
    trainings: Trainings
    cycles_per_year: float
    planned_judgments_per_year: float
    cycle: str | None = None
    cycle_judgments: Judgments | None = None
    cycle_trainings: Trainings | None = None

    @property
    def answers(self) -> int:
        """Answers of all models in the window."""
        return sum(use.answers for use in self.models)

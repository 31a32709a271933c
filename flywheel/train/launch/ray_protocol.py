"""What the launcher and the job on a Ray worker agree on: files in the exchange, and outcomes."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from flywheel.ports.train_launcher import TrainSpec
from flywheel.train.launch.exchange import Exchange

__all__ = [
    "Job",
    "Lease",
    "Outcome",
    "Reason",
    "VersionedJob",
    "forget_old_runs",
    "outcome_path",
]

Reason = Literal[
    "succeeded",
    "bad_spec",
    "bad_data",
    "out_of_memory",
    "disk_full",
    "took_too_long",
    "interrupted",
    "killed",
    "abandoned",
    "lost",
    "bug",
]


class VersionedJob(BaseModel):
    """``job.json`` of any work: workers of another version of Flywheel refuse it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str


class Job(VersionedJob):
    """A training: what the worker is asked to do; the folders are paths in the exchange."""

    spec: TrainSpec
    base: str
    dataset: str
    memory_bytes: int | None
    lease_seconds: float


class Lease(BaseModel):
    """``lease.json``: the job that may train; ``beat`` rises as long as a process waits for it.

    ``asked_at`` is when one last did, as a Unix time, and no job depends on it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    submission: str
    number: int
    beat: int
    asked_at: float


class Outcome(BaseModel):
    """How a job ended, in its own words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    submission: str
    reason: Reason
    detail: str


def outcome_path(submission: str) -> str:
    """Return where a job leaves its outcome: a late one does not write over its successor's."""
    return f"outcomes/{submission}.json"


def forget_old_runs(exchange: Exchange, *, before: float) -> list[str]:
    """Remove the runs that were not asked for since a Unix time: they hold people's texts."""
    old = []
    for name in exchange.names("runs"):
        try:
            lease = Lease.model_validate(exchange.read_json(f"runs/{name}/lease.json"))
        except ValidationError:
            continue
        if lease.asked_at < before:
            exchange.remove(f"runs/{name}")
            old.append(name)
    return old

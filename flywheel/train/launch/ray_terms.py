"""What the launcher and the job on a Ray worker agree on: files in the exchange, and outcomes."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from flywheel.ports.train_launcher import TrainSpec

__all__ = ["Job", "Lease", "Outcome", "Reason"]

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


class Job(BaseModel):
    """``job.json``: what the worker is asked to do; the folders are paths in the exchange."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    spec: TrainSpec
    base: str
    dataset: str
    memory_bytes: int | None
    lease_seconds: float


class Lease(BaseModel):
    """``lease.json``: the job that may train; ``beat`` rises as long as somebody waits for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    submission: str
    number: int
    beat: int


class Outcome(BaseModel):
    """``outcome.json``: how a job ended, in its own words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    submission: str
    reason: Reason
    detail: str

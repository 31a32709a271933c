"""Port: where texts are answered or embedded in bulk. The work itself is the same everywhere."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal, Protocol

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from flywheel.artifacts.precision import ServedPrecision
from flywheel.workload.model import Workload

__all__ = [
    "BulkExecutor",
    "BulkWork",
    "Kind",
    "OnResult",
    "PartName",
    "TextPart",
    "digest_of_ids",
]

Kind = Literal["answer", "embed"]
_NAME_BYTES = 6


class BulkWork(BaseModel):
    """What is done with every text; a worker on another machine reads it as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    maker: str = Field(description="release that answers, or encoder of the vectors")
    workload: Workload = Field(description="with the prompt that the release is asked with")
    surfaces: dict[str, str] = Field(default={}, description="text of each label on the base")
    base_folder: Path | None = None
    base_digest: str = ""
    adapter: Path | None = Field(default=None, description="None where the base answers")
    precision: ServedPrecision | None = None


@dataclass(frozen=True)
class PartName:
    """Part ``number`` of the ``count`` that a day was cut into."""

    day: date
    number: int
    count: int

    @property
    def part(self) -> str:
        """The part without its day."""
        return f"{self.number}-of-{self.count}"


@dataclass(frozen=True)
class TextPart:
    """Texts of one day that land at once: `inference_id`, `subject_id`, `event_time`, `input`."""

    name: PartName
    rows: pa.Table

    @property
    def file_name(self) -> str:
        """Name of the part with a digest of its ids: other texts have another name."""
        day, part = self.name.day.isoformat(), self.name.part
        return f"{day}.{part}.{digest_of_ids(self.rows)}"


def digest_of_ids(rows: pa.Table) -> str:
    """Return a digest of the ids of a part, in their order."""
    ids = "\n".join(rows["inference_id"].to_pylist())
    return hashlib.blake2b(ids.encode(), digest_size=_NAME_BYTES).hexdigest()


OnResult = Callable[[PartName, pa.Table], None]


class BulkExecutor(Protocol):
    """Do the work on parts of texts."""

    def run(
        self,
        work: BulkWork,
        parts: Iterable[TextPart],
        *,
        on_result: OnResult,
        on_notice: Callable[[str], None],
    ) -> None:
        """Hand the result of every part to ``on_result``, in any order.

        Called by a backfill. A result has the columns of its part without ``input``, and those of
        the work; it may be that of a part that an earlier, interrupted call had done, and may be
        handed over twice: the caller lands it once. What ``on_result`` raises ends the call.
        ``parts`` are read when they are needed. A text that cannot be answered is a row with its
        error. InterruptedWorkError and UnavailableError mean run it again: what was handed over
        is done. Other errors mean that a person must act.
        """
        ...

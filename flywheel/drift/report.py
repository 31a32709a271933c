"""What a drift measurement found, as values that ledgers, checks and pages can show."""

from dataclasses import asdict, dataclass
from datetime import date
from typing import Literal

from flywheel.drift.window import Window
from flywheel.io.records import JsonObject

__all__ = [
    "Cause",
    "ColumnDrift",
    "DriftReport",
    "QualityShift",
    "ShareChange",
    "ShareShift",
    "Verdict",
    "WordShift",
]

Verdict = Literal["input_drift", "quality_loss", "both", "noise", "none"]


@dataclass(frozen=True)
class ShareChange:
    """A share of texts or answers before and now, with a 95 % interval of the difference.

    ``name`` is the category, or empty for the texts that hold risen words. ``chance`` is the
    change that windows of this size show without drift.
    """

    name: str
    reference_share: float
    current_share: float
    low: float
    high: float
    threshold: float
    chance: float

    @property
    def size(self) -> float:
        """Share now less share before."""
        return self.current_share - self.reference_share

    @property
    def counts(self) -> bool:
        """Return whether the change is beyond chance and as large as its threshold."""
        return abs(self.size) > self.chance and abs(self.size) >= self.threshold


@dataclass(frozen=True)
class ColumnDrift:
    """How far one column moved.

    ``role`` says what a drift of it means: the input changed, the model's answers changed, or the
    service did. ``chance`` is the score that windows of this size reach without drift. A column
    that cannot be compared has no score, and ``note`` says why. ``change`` is the effect in
    shares, for words and categories; a column drifted by its score or by its change.
    """

    column: str
    role: Literal["input", "output", "service"]
    method: Literal["psi", "jensen_shannon"]
    score: float | None
    threshold: float
    chance: float | None
    drifted: bool
    note: str = ""
    change: ShareChange | None = None

    @property
    def strength(self) -> float:
        """The larger of score and change, in multiples of what counts."""
        by_score = (self.score or 0.0) / self.threshold if self.threshold else 0.0
        if self.change is None or not self.change.threshold:
            return by_score
        return max(by_score, abs(self.change.size) / self.change.threshold)


@dataclass(frozen=True)
class WordShift:
    """A word and in how many texts it stood."""

    word: str
    reference: int
    current: int
    reference_share: float
    current_share: float
    lift: float


@dataclass(frozen=True)
class ShareShift:
    """A client or category, its share before and now, and its part in the new words."""

    name: str
    reference_share: float
    current_share: float
    current: int
    carries: float | None = None


@dataclass(frozen=True)
class Cause:
    """Which columns, words, clients and categories make up a shift."""

    columns: tuple[str, ...] = ()
    rising: tuple[WordShift, ...] = ()
    falling: tuple[WordShift, ...] = ()
    texts_with_rising: int = 0
    clients: tuple[ShareShift, ...] = ()
    categories: tuple[ShareShift, ...] = ()
    proposals: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class QualityShift:
    """Accuracy on the control slice before and since its most likely change.

    ``fell`` is None where too few judgments were given to say. ``statistic`` is compared with
    ``limit``. Reports measured by an earlier version compare two fixed windows and have neither.
    """

    reference: float | None
    current: float | None
    reference_judged: int
    current_judged: int
    drop: float | None
    interval: tuple[float, float] | None
    fell: bool | None
    note: str = ""
    changed_on: date | None = None
    statistic: float | None = None
    limit: float | None = None


@dataclass(frozen=True)
class DriftReport:
    """The verdict about one window against the reference; None where none can be given."""

    workload_id: str
    reference: Window
    current: Window
    reference_events: int
    current_events: int
    verdict: Verdict | None
    reason: str
    columns: tuple[ColumnDrift, ...] = ()
    cause: Cause | None = None
    quality: QualityShift | None = None

    @property
    def drifted(self) -> bool | None:
        """Return whether input or answers drifted; None without a verdict."""
        return None if self.verdict is None else bool(self.drifted_columns)

    @property
    def drifted_columns(self) -> tuple[str, ...]:
        """Names of the drifted columns that a new training could answer."""
        return tuple(c.column for c in self.columns if c.drifted and c.role != "service")

    def to_dict(self) -> JsonObject:
        """Return plain data for ledgers and metadata."""
        values = asdict(self)
        if self.quality is not None and self.quality.changed_on is not None:
            values["quality"]["changed_on"] = self.quality.changed_on.isoformat()
        return {
            **values,
            "reference": self.reference.to_dict(),
            "current": self.current.to_dict(),
            "drifted_columns": list(self.drifted_columns),
        }

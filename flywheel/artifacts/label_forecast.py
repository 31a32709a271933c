"""`LabelForecast`: what a cycle's further labels were expected to bring, as an attempt keeps it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from flywheel.io.records import JsonObject

__all__ = ["LABEL_FORECAST", "LabelForecast", "StoredGain"]

LABEL_FORECAST = "label_forecast"


@dataclass(frozen=True)
class StoredGain:
    """Gain of accuracy after ``labels`` more rows, with the interval of a single draw of them."""

    labels: int
    expected: float
    lower: float
    upper: float


@dataclass(frozen=True)
class LabelForecast:
    """A learning curve of a snapshot.

    ``learner`` names what was measured; ``accuracy`` is its share of right cases after all rows,
    ``steps`` its gains up to twice the rows. ``cases_digest`` says which golden cases they were.
    """

    learner: str
    rows: int
    cases: int
    cases_digest: str
    accuracy: float
    confidence: float
    points: tuple[tuple[int, float], ...]
    steps: tuple[StoredGain, ...]

    def gain(self, labels: int) -> StoredGain | None:
        """Return the gain of more labels, between the steps; None beyond twice the rows."""
        if not 0 < labels <= self.rows:
            return None
        before = StoredGain(0, 0.0, 0.0, 0.0)
        for after in self.steps:
            if labels <= after.labels:
                part = (labels - before.labels) / (after.labels - before.labels)
                return StoredGain(
                    labels,
                    before.expected + part * (after.expected - before.expected),
                    before.lower + part * (after.lower - before.lower),
                    before.upper + part * (after.upper - before.upper),
                )
            before = after
        return None

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self | None:
        """Read a forecast; None where none was made."""
        stored = facts.get(LABEL_FORECAST)
        if stored is None:
            return None
        values = dict(stored)
        values["points"] = tuple((int(rows), float(mean)) for rows, mean in values["points"])
        values["steps"] = tuple(StoredGain(**step) for step in values["steps"])
        return cls(**values)

    def to_facts(self) -> JsonObject:
        """Return the form in JSON."""
        return {LABEL_FORECAST: asdict(self)}

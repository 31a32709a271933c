"""`GateReport`: the decision on one candidate and all it rests on, named by its digest.

The values are frozen; ``gate_file`` holds where a report lies.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Literal

from pydantic import ValidationError

from flywheel.artifacts.arm_metrics import ArmMetrics
from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.frozen import Frozen
from flywheel.errors import IntegrityError
from flywheel.workload.answers import canonical_json
from flywheel.workload.model import GateRules

__all__ = [
    "Comparison",
    "GateCheck",
    "GateReport",
    "GateSubject",
    "NewLabel",
    "Outcome",
    "TextComparison",
    "parse_report",
]

Outcome = Literal["pass", "fail", "inconclusive"]


class GateSubject(Frozen):
    """What is judged: the candidate, the champion it is compared with, and the data.

    ``served_precision`` is that of the weights in all arms; reports of version 0.2 have none.
    """

    workload_id: str
    cycle: str
    attempt: int
    candidate: str
    champion: str
    manifest_digest: str
    dataset_hash: str
    taxonomy_version: int
    served_precision: str | None = None

    @property
    def cycle_ref(self) -> CycleRef:
        """The cycle whose candidate is judged."""
        return CycleRef(self.workload_id, self.cycle)


class Comparison(Frozen):
    """Candidate against champion on the same cases; ``label`` is None for the whole suite.

    ``detectable`` is the smallest difference that this many cases show with the power asked for;
    ``needed`` how many cases let an equal candidate pass the margin with that power.
    """

    suite: str
    label: str | None
    cases: int
    champion_right: int
    candidate_right: int
    gained: int
    lost: int
    difference: float
    lower: float
    upper: float
    p_value: float
    margin: float
    detectable: float | None
    needed: int | None


class GateCheck(Frozen):
    """One rule, what was measured, and what follows from it."""

    name: str
    outcome: Outcome
    value: float | None
    limit: float
    reason: str


class TextComparison(Frozen):
    """Mean score of both arms' texts on the same cases, with the interval of the difference."""

    suite: str
    score: str
    cases: int
    champion: float
    candidate: float
    lower: float
    upper: float
    margin: float


class NewLabel(Frozen):
    """A label that the champion cannot know; it is left out of every comparison."""

    label: str
    suite: str
    cases: int
    candidate_right: int


class GateReport(Frozen):
    """The decision on one candidate and all it rests on.

    ``look`` 2 rests on directed cases as well. ``cases_to_collect`` of them would decide a first
    look that is inconclusive for nothing else; None: no second look follows. ``texts`` holds the
    scores of a generation, on all cases first.
    """

    subject: GateSubject
    rules: GateRules
    outcome: Outcome
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    checks: tuple[GateCheck, ...]
    comparisons: tuple[Comparison, ...]
    new_labels: tuple[NewLabel, ...]
    arms: tuple[ArmMetrics, ...]
    measured_at: datetime
    look: Literal[1, 2] = 1
    cases_to_collect: int | None = None
    texts: tuple[TextComparison, ...] = ()

    def to_json(self) -> str:
        """Return the text that the digest is taken of.

        A report that was read back keeps to the fields of its file, so that one of an earlier
        version has the digest that its approval names.
        """
        return canonical_json(self.model_dump(mode="json", exclude_unset=True)) + "\n"

    @property
    def digest(self) -> str:
        """Return the sha256 of the report's text."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @property
    def judgments_until(self) -> datetime | None:
        """Until when a second look is waited for; None: none follows."""
        if self.cases_to_collect is None:
            return None
        return self.measured_at + timedelta(days=self.rules.judgment_days)

    def arm(self, suite: str, arm: str) -> ArmMetrics | None:
        """Return the figures of one arm on one suite, None where it was not measured."""
        matches = [item for item in self.arms if (item.suite, item.arm) == (suite, arm)]
        return matches[0] if matches else None

    def figures(self) -> dict[str, float | None]:
        """Return the numbers to watch from gate to gate, under the names that people see.

        Latencies in milliseconds, shares in [0, 1]; None where something was not measured.
        """
        together = self.comparisons[0]  # of all cases that decide, labels come behind
        figures: dict[str, float | None] = {
            "cases": together.cases,
            "accuracy of the champion": together.champion_right / together.cases,
            "accuracy of the candidate": together.candidate_right / together.cases,
            "difference": together.difference,
            "difference, lower": together.lower,
            "difference, upper": together.upper,
            "margin": together.margin,
        }
        for arm in ("champion", "candidate"):
            measured = self.arm("golden", arm)
            p95 = None if measured is None else measured.seconds_p95
            figures[f"latency p95 of the {arm}, ms"] = None if p95 is None else p95 * 1000
        ratios = [check.value for check in self.checks if check.name == "latency"]
        figures["latency ratio"] = ratios[0] if ratios else None
        return figures

    def check(self, name: str) -> GateCheck:
        """Return one check by its name."""
        return next(check for check in self.checks if check.name == name)


def parse_report(text: str) -> GateReport:
    """Read a report back, also one of another version.

    Keys that this version does not know are ignored, and what an earlier one did not write has its
    default.

    Raises:
        IntegrityError: the text is not a gate report.
    """
    try:
        return GateReport.model_validate_json(text, extra="ignore")
    except ValidationError as error:
        raise IntegrityError(
            f"The gate report is not readable: {error.error_count()} faults.",
            next_step="run the gate again",
        ) from error

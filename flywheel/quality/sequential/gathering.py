"""`Gathering`: evidence on one metric with what was counted since its last block.

A block needs an answer of both arms. Minutes in which one of them has none are put together with the
next ones, so that thin traffic loses no answer. When a block ends depends on how many answers there
are, never on what they were, so that the test stays valid.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from flywheel.quality.sequential.counts import ArmCounts
from flywheel.quality.sequential.evidence import MetricEvidence, MetricPlan

__all__ = ["Gathering"]

_NONE = ArmCounts(0, 0)


@dataclass(frozen=True)
class Gathering:
    """Evidence so far, and the counts of both arms that no block holds yet."""

    evidence: MetricEvidence
    champion: ArmCounts = _NONE
    candidate: ArmCounts = _NONE

    @classmethod
    def start(cls, plan: MetricPlan) -> "Gathering":
        """Return the gathering before the first answer."""
        return cls(MetricEvidence.start(plan))

    def add(self, minutes: Iterable[tuple[ArmCounts, ArmCounts]]) -> "Gathering":
        """Return the gathering with the counts of more minutes, oldest first: champion, candidate."""
        gathered = self
        for champion, candidate in minutes:
            gathered = replace(
                gathered,
                champion=_sum(gathered.champion, champion),
                candidate=_sum(gathered.candidate, candidate),
            )
            if gathered.champion.answers and gathered.candidate.answers:
                gathered = Gathering(gathered.evidence.add(gathered.champion, gathered.candidate))
        return gathered


def _sum(first: ArmCounts, second: ArmCounts) -> ArmCounts:
    return ArmCounts(first.answers + second.answers, first.events + second.events)

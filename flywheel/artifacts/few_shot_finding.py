"""`FewShotFinding`: how the base model with worked examples did before a training."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from flywheel.artifacts.gate_report import Outcome
from flywheel.io.records import JsonObject

__all__ = ["FEW_SHOT", "FewShotFinding"]

FEW_SHOT = "few_shot"


@dataclass(frozen=True)
class FewShotFinding:
    """The gate's rules on worked examples alone, against the champion on the same cases.

    ``right`` of ``cases`` golden and holdout cases are right; ``dataset_hash`` and ``champion`` say
    what it holds for. ``exact`` is False of a generation, whose texts are scored instead.
    """

    outcome: Outcome
    reason: str
    selection: str
    examples: int
    right: int
    champion_right: int
    cases: int
    champion: str
    dataset_hash: str
    exact: bool = True

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self | None:
        """Read the finding in an attempt's facts; None where nothing was measured."""
        return cls(**facts[FEW_SHOT]) if FEW_SHOT in facts else None

    def to_facts(self) -> JsonObject:
        """Return the form in JSON that ``from_facts`` reads."""
        return {FEW_SHOT: asdict(self)}

    @property
    def sentence(self) -> str:
        """What was found, in a sentence for people."""
        if not self.exact:
            return (
                f"few-shot without training: {self.outcome} on {self.cases} cases with {self.examples} "
                f"worked examples ({self.selection}), against {self.champion}: {self.reason}"
            )
        return (
            f"few-shot without training: {self.outcome}, {self.right} of {self.cases} right with "
            f"{self.examples} worked examples ({self.selection}), {self.champion} "
            f"{self.champion_right}: {self.reason}"
        )

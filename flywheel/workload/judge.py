"""`JudgeRules`: a model that says which answers look wrong, and when its word counts."""

from typing import Self

from pydantic import Field, model_validator

from flywheel.workload.sections import Share, Strict
from flywheel.workload.tiers import Tier

__all__ = ["JudgeRules"]


class JudgeRules(Strict):
    """A model as judge: it orders the review queue; calibrated, it also sharpens the weekly figure."""

    source: Tier = Field(
        description="the model that judges, written like a tier: a base_model, or url and model"
    )
    rubric: str = Field(
        min_length=1, max_length=20_000, description="what makes an answer correct, for the judge"
    )
    floor: Share = Field(
        default=0.8,
        description="agreement with people that the lower end of its interval must reach",
    )
    expires_days: int = Field(
        default=90, ge=1, le=3650, description="days after which a calibration counts no longer"
    )
    per_day: int = Field(
        default=200, ge=0, description="most answers the judge is asked about, a day in UTC"
    )

    @model_validator(mode="after")
    def _is_a_model_of_its_own(self) -> Self:
        if self.source.is_champion:
            msg = f"source: name either base_model, or url and model, for {self.source.name}"
            raise ValueError(msg)
        if self.source.headers:
            msg = "source.headers: a judge has no caller whose headers could be passed on"
            raise ValueError(msg)
        return self

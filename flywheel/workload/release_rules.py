"""`ReleaseRules`: the section `release` of a workload file, the stages between approval and champion."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from flywheel.workload.sections import Strict

__all__ = ["CanaryStage", "GuardMargins", "GuardRules", "ReleaseRules", "ShadowStage"]

Days = Annotated[float, Field(gt=0, le=365, allow_inf_nan=False)]
_Margin = Annotated[float, Field(gt=0, lt=1)]


class ShadowStage(Strict):
    """The candidate answers copies of requests, and no caller sees its answers."""

    days: Days = Field(default=7, description="shortest time in shadow, in days; may be a fraction")
    share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.2, description="share of the champion's requests that are copied"
    )
    per_day: int = Field(default=2_000, ge=1, description="most copies a day: what it may cost")
    minimum_pairs: int = Field(
        default=200, ge=1, description="pairs of answers without which it does not go on"
    )


class CanaryStage(Strict):
    """The candidate answers a share of the subjects."""

    share: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="share of the subjects that the candidate answers"
    )
    days: Days = Field(default=7, description="shortest time at this share; may be a fraction")
    minimum_answers: int = Field(
        default=200, ge=1, description="answers of the candidate without which it does not go on"
    )


class GuardMargins(Strict):
    """Per guard metric: by how much a candidate may be worse and still counts as equivalent."""

    errors: _Margin = Field(default=0.02, description="share of requests that end in an error")
    invalid: _Margin = Field(default=0.02, description="share of answers that break the schema")
    slow: _Margin | None = Field(
        default=0.05,
        description="share of answers slower than the champion's 95th percentile on the same days; "
        "null: not watched, where the machine's other work decides how long an answer takes",
    )
    negative_feedback: _Margin = Field(
        default=0.05, description="share of answers with negative feedback"
    )
    wrong: _Margin = Field(
        default=0.05, description="share of wrong answers: control slice, and judged shadow pairs"
    )


class GuardRules(Strict):
    """What takes a release back by itself."""

    margins: GuardMargins = GuardMargins()
    significance: float = Field(
        default=0.05,
        gt=0,
        lt=0.5,
        description="chance that an equal candidate is called worse, over all metrics and looks",
    )
    patience_minutes: float = Field(
        default=15,
        gt=0,
        allow_inf_nan=False,
        description="time without a measurement, where some were expected, that counts as silent",
    )
    idle_hours: float = Field(
        default=72,
        gt=0,
        allow_inf_nan=False,
        description="hours without any request that count as silent: longer than a weekend",
    )


class ReleaseRules(Strict):
    """How an approved release becomes the champion: shadow, then canary in steps.

    A stage ends when its days are over and its minimum is there; it is rolled back where the
    release is worse or silent. Silent is also a stage whose minimum is still not there after twice
    its days.
    """

    shadow: ShadowStage | None = Field(
        default=ShadowStage(), description="first stage; null: no shadow"
    )
    canary: tuple[CanaryStage, ...] = Field(
        default=(CanaryStage(share=0.1), CanaryStage(share=0.5)),
        description="steps of the canary, with rising shares; the champion comes after the last",
    )
    first_release: Literal["shadow", "canary", "champion"] = Field(
        default="shadow",
        description="where the first release of the workload begins: canary skips the shadow, champion "
        "both, for a base model that is not worth comparing with",
    )
    guards: GuardRules = GuardRules()

    @model_validator(mode="after")
    def _is_a_path(self) -> Self:
        shares = [step.share for step in self.canary]
        if any(after <= before for before, after in pairwise(shares)):
            listed = ", ".join(f"{share:g}" for share in shares)
            msg = f"canary: each step needs a larger share than the one before, not {listed}"
            raise ValueError(msg)
        if self.shadow is None and not self.canary:
            msg = "neither shadow nor canary is left: leave `release` out to promote at once"
            raise ValueError(msg)
        if self.first_release == "canary" and not self.canary:
            msg = "first_release: canary, but there is no step in `canary`"
            raise ValueError(msg)
        return self

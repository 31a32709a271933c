"""The sections of a workload file that have no module of their own: review, drift, trigger, gates, limits."""

from functools import cached_property
from math import floor
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from flywheel.workload.control_size import FALLS_AFTER, LEVEL, control_items, smallest_fall

__all__ = [
    "DailyTimes",
    "DriftThresholds",
    "GateRules",
    "Limits",
    "ReviewPolicy",
    "SamplingShares",
    "Share",
    "StrategyName",
    "Strict",
    "TriggerRules",
]


def _unquoted_time(value: object) -> object:
    # YAML reads an unquoted 12:30 as 750, in base 60.
    return f"{value // 60:02d}:{value % 60:02d}" if type(value) is int else value


TimeOfDay = Annotated[
    str,
    StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$"),
    BeforeValidator(_unquoted_time),
]
Share = Annotated[float, Field(ge=0, le=1)]
StrategyName = Literal["cluster_margin", "smallest_margin", "least_confident", "random"]


class Strict(BaseModel):
    """Base of everything in a workload file: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))


class SamplingShares(Strict):
    """How the review budget is split; the shares add up to 1.

    ``novel`` goes to new kinds of text: groups far from everything known. What it does not need is
    spent on uncertain answers.
    """

    control: Share = Field(
        default=0.25, description="drawn at random and judged blind: the unbiased figure of quality"
    )
    uncertain: Share = Field(default=0.45, description="answers of which the model is least sure")
    novel: Share = Field(default=0.2, description="new kinds of text, far from all others")
    flagged: Share = Field(default=0.1, description="answers with negative feedback")

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        total = self.control + self.uncertain + self.novel + self.flagged
        if abs(total - 1) > 1e-6:  # noqa: PLR2004 - rounding
            msg = f"the shares add up to {total:g}, not to 1"
            raise ValueError(msg)
        return self


class ReviewPolicy(Strict):
    """What people are asked, and how often twice."""

    budget: int = Field(default=400, ge=1, description="judgments a period, all included")
    shares: SamplingShares = SamplingShares()
    control_drop: float | None = Field(
        default=None,
        gt=0,
        lt=LEVEL,
        description="fall of accuracy that the control slice must show within a period: its size "
        "follows from it, in place of shares.control",
    )
    strategy: StrategyName = Field(
        default="cluster_margin", description="order in which uncertain answers are asked about"
    )
    confidence: Share = Field(default=0.85, description="below this an answer counts as uncertain")
    overlap: Share = Field(default=0.1, description="share of items judged by two people")
    overlap_random: Share = Field(
        default=0.3,
        description="of the items judged by two people, the share drawn at random, on which "
        "agreement is measured; the others are those whose first judgment is in doubt",
    )
    gold: float = Field(
        default=0.05,
        ge=0,
        le=0.5,
        description="share of judgments that repeat a question on which people agreed, to measure annotators",
    )
    label_checks: float = Field(
        default=0.03,
        ge=0,
        le=0.5,
        description="share of judgments that decide again on accepted labels that look wrong",
    )
    near_duplicate: Share = Field(default=0.85, description="similarity from which texts are one")
    complaints_expire: bool = Field(
        default=True,
        description="drop complaints about a release that no longer answers, unless one that does "
        "gives the same answer to the same text",
    )

    @model_validator(mode="after")
    def _budget_shows_the_drop(self) -> Self:
        if self.control_drop is None:
            return self
        needed, most = control_items(self.control_drop), floor(self._items)
        if needed is None or needed > most:
            smallest = smallest_fall(most * FALLS_AFTER, most * (1 - FALLS_AFTER))
            detectable = "none at all" if smallest is None else f"{smallest:.2f}"
            msg = (
                f"control_drop {self.control_drop:g} needs {needed or 'more than 10,000,000'} "
                f"control items a period, and the budget of {self.budget} pays for {most} items: "
                f"the smallest fall that all of them would show is {detectable}. Raise the budget or "
                "the drop"
            )
            raise ValueError(msg)
        return self

    @property
    def control_share(self) -> float:
        """Share of the items that are drawn at random, in [0, 1]."""
        needed = None if self.control_drop is None else control_items(self.control_drop)
        return self.shares.control if needed is None else needed / self._items

    @property
    def control_items_a_period(self) -> float:
        """Control items that a period's budget pays for."""
        return self.control_share * self._items

    @property
    def _items(self) -> float:
        # An overlapped item costs two more judgments than another one, its adjudication included.
        return self.budget * (1 - self.gold) / (1 + 2 * self.overlap)


class DriftThresholds(Strict):
    """From which change, beyond chance, a column counts as drifted, and for how long."""

    psi: float = Field(default=0.2, gt=0, description="population stability index of a number")
    jensen_shannon: Share = Field(
        default=0.15, description="distance of words and categories, less that of chance"
    )
    risen_words: Share = Field(default=0.05, description="share of texts with new or risen words")
    share_change: Share = Field(default=0.03, description="change of a category's share")
    quality_drop: Share = Field(default=0.05, description="fall of accuracy on the control slice")
    window_days: int = Field(default=7, ge=1, description="length of a window, in days")
    windows: int = Field(
        default=2,
        ge=1,
        description="drifted windows in a row that count; one that began before the present "
        "release took over is never measured",
    )
    minimum_events: int = Field(
        default=200, ge=10, description="events a verdict needs; a thin window is made longer"
    )


class DailyTimes(Strict):
    """When the daily work of a workload begins, in its own time zone."""

    sample: TimeOfDay = Field(default="04:00", description="choose what people review")
    observe: TimeOfDay = Field(default="05:00", description="profile, measure drift")


class TriggerRules(Strict):
    """What opens a cycle besides the calendar."""

    cooldown_days: int = Field(
        default=14, ge=0, description="days after a cycle in which no other one opens"
    )
    corrections: int = Field(default=1000, ge=1, description="new corrections that open a cycle")


class GateRules(Strict):
    """What a candidate must show before a person is asked."""

    margin: Share = Field(
        default=0.05, description="how much less accurate a candidate may be, golden and holdout"
    )
    holdout_margin: Share = Field(
        default=0.1, description="fails when shown to be worse by this on the holdout alone"
    )
    significance: float = Field(
        default=0.02,
        gt=0,
        lt=0.5,
        description="two-sided: half of it is the chance to pass what is worse by the margin",
    )
    power: float = Field(
        default=0.8, gt=0.5, lt=1, description="chance to pass an equal candidate, for sizes"
    )
    slice_floor: Share = Field(default=0.1, description="largest fall of one label's accuracy")
    slice_minimum: int = Field(
        default=1, ge=1, description="fewest cases for a floor; the exact test asks for about 4"
    )
    field_floor: Share = Field(
        default=0.1, description="largest fall of one field's accuracy, for an extraction; 1: none"
    )
    field_minimum: dict[str, Share] = Field(
        default={},
        description="share of cases with a field right, by its path such as total or "
        "line_items[].quantity",
    )
    must_not_lose: Share = Field(
        default=0.98, description="share of fixed cases still right, retraining's churn set aside"
    )
    must_hold: tuple[str, ...] = Field(
        default=(), description="inference ids of cases that every candidate must have right"
    )
    must_hold_fields: dict[str, tuple[str, ...]] = Field(
        default={},
        description="inference ids of cases of which every candidate must have one field right, by "
        "the field's path",
    )
    minimum_accuracy: Share = Field(
        default=0.5,
        description="accuracy below which a candidate fails, whatever the champion has; 0: none",
    )
    first_must_be_better: bool = Field(
        default=True, description="the first release must be better than the base model"
    )
    schema_validity: Share = Field(
        default=0.99, description="share of answers that must match the schema"
    )
    rule_compliance: Share = Field(
        default=0.98, description="share of texts that must keep each rule, for a generation"
    )
    latency_ratio: float = Field(
        default=2.0,
        gt=0,
        description="longest time of an answer, as a multiple of the champion's; an adapter over the bare base takes 1.2 to 1.5",
    )
    judgment_days: int = Field(
        default=14,
        ge=0,
        description="days that an undecided gate waits for the cases that would decide it; 0: no second look",
    )
    approval_days: int = Field(default=7, ge=1, description="days after which an approval expires")


class Limits(Strict):
    """Bounds at the edge."""

    event_bytes: int = Field(default=1_048_576, ge=1024, description="longest event, in bytes")
    input_characters: int = Field(default=8_000, ge=16, description="longest input, in characters")
    answer_tokens: int = Field(default=128, ge=1, description="longest answer, in tokens")
    invalid_retries: int = Field(
        default=1,
        ge=0,
        le=3,
        description="how often the gateway asks again after an answer that is cut off or breaks "
        "the schema; each time with twice the room of the time before",
    )

"""`assess`: costs, break-even volume, pay-back and 24 months of a workload from facts and prices."""

from dataclasses import dataclass
from datetime import datetime
from math import ceil

from flywheel.economics.answer_costs import (
    SmallCost,
    baseline_cost,
    monthly_volume,
    per_thousand,
    present_cost,
    small_cost,
)
from flywheel.economics.figure import A_MONTH, Figure, compute, missing
from flywheel.economics.measurements import Measurements
from flywheel.economics.months import Month, PayBack, months_ahead, pay_back_of
from flywheel.economics.prices import Prices
from flywheel.economics.running_costs import (
    accepted_label,
    add_up,
    cycle_costs,
    engineering_a_month,
    invested,
    judgment_cost,
    judgments_a_month,
    training_a_month,
)

__all__ = ["Worth", "assess"]


@dataclass(frozen=True)
class Worth:
    """Everything about a workload's money; a figure without a value names what it lacks."""

    workload_id: str
    currency: str
    tier: str | None
    start: datetime
    end: datetime
    figures: tuple[Figure, ...]
    months: tuple[Month, ...]
    pay_back: PayBack
    notes: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Every measurement and price that a figure lacks, once."""
        return tuple(dict.fromkeys(lack for one in self.figures for lack in one.missing))

    def figure(self, name: str) -> Figure:
        """Return a figure by its name."""
        return next(figure for figure in self.figures if figure.name == name)


@dataclass(frozen=True)
class _Running:
    # What is paid in a month whatever the volume.
    serving: Figure
    judgments: Figure
    training: Figure
    engineering: Figure

    @property
    def all(self) -> tuple[Figure, ...]:
        return (self.serving, self.judgments, self.training, self.engineering)


def assess(prices: Prices, facts: Measurements, *, tier: str | None = None) -> Worth:
    """Compare the small model with a tier, over what was measured.

    Args:
        prices: what a person stated.
        facts: what was measured.
        tier: the tier to compare with; default: the prices' baseline.

    Raises:
        NotFoundError: the prices have no such tier.
    """
    chosen = prices.tier(tier)
    volume = monthly_volume(facts)
    baseline = baseline_cost(chosen, facts)
    serving = small_cost(prices.serving, facts, volume)
    judgment = judgment_cost(prices, facts.judgments)
    running = _Running(
        serving.per_month,
        judgments_a_month(facts, judgment),
        training_a_month(prices, facts),
        engineering_a_month(prices),
    )
    whole = _total("small model, all costs", running, serving.per_answer, volume)
    label = accepted_label(facts.judgments, judgment)
    cycle = cycle_costs(prices, facts, judgment)
    spent = invested(prices, facts, judgment)
    fixed = add_up("fixed costs a month", running.all)
    break_even = _break_even(baseline, serving.per_answer, fixed)
    served = _served(serving, volume)
    figures = (
        volume,
        per_thousand(present_cost(prices, facts, served), "cost per 1,000 answers now"),
        per_thousand(baseline, "cost per 1,000 answers on the tier"),
        per_thousand(served, "cost per 1,000 answers on the small model, serving alone"),
        per_thousand(whole, "cost per 1,000 answers on the small model, everything"),
        _by_volume("the tier a month", baseline, volume),
        *running.all,
        *(() if serving.hours is None else (serving.hours,)),
        judgment,
        label,
        *cycle,
        spent,
        break_even,
    )
    months = months_ahead(prices, facts.end, volume, baseline, serving.per_answer, fixed, spent)
    return Worth(
        workload_id=facts.workload_id,
        currency=prices.currency,
        tier=None if chosen is None else chosen.name,
        start=facts.start,
        end=facts.end,
        figures=figures,
        months=months,
        pay_back=pay_back_of(months, spent),
        notes=_notes(prices, facts, serving),
    )


def _served(serving: SmallCost, volume: Figure) -> Figure:
    # Serving alone, what is paid by the month divided by the month's answers.
    basis = serving.per_answer.basis
    if serving.per_month.value:
        basis = f"{serving.per_month.value:,.0f} a month: {serving.per_month.basis}"
    return compute(
        "small model", "per answer", basis, lambda a, m, v: a + m / v,
        serving.per_answer, serving.per_month, volume,
    )  # fmt: skip


def _total(name: str, running: _Running, per_answer: Figure, volume: Figure) -> Figure:
    return compute(
        name, "per answer", "serving, judgments, trainings and engineering of a month",
        lambda a, v, *fixed: a + sum(fixed) / v, per_answer, volume, *running.all,
    )  # fmt: skip


def _by_volume(name: str, per_answer: Figure, volume: Figure) -> Figure:
    basis = "cost of an answer by answers a month"
    return compute(name, A_MONTH, basis, lambda cost, count: cost * count, per_answer, volume)


def _break_even(baseline: Figure, per_answer: Figure, fixed: Figure) -> Figure:
    name, unit = "break-even volume", "answers a month"
    tier, small = baseline.value, per_answer.value
    if tier is not None and small is not None and tier <= small:
        lack = "a break-even: an answer of the small model costs no less than one of the tier"
        return missing(name, unit, lack)
    basis = "fixed costs of a month by what an answer saves"
    return compute(
        name, unit, basis, lambda b, s, f: ceil(f / (b - s) - 1e-9), baseline, per_answer, fixed
    )


def _notes(prices: Prices, facts: Measurements, serving: SmallCost) -> tuple[str, ...]:
    notes = []
    if facts.judgments.simulated:
        notes.append(
            f"{facts.judgments.simulated:,} of {facts.judgments.count:,} judgments are simulated."
        )
    if prices.growth_per_month:
        notes.append(f"The volume grows by {prices.growth_per_month:.1%} a month (stated).")
    price, hours = prices.serving, serving.hours
    if price is not None and price.hours_per_month and hours is not None and hours.value:
        paid = price.gpus * price.hours_per_month * price.share
        if hours.value > paid:
            notes.append(
                f"The answers of a month take {hours.value:,.0f} GPU hours, {paid:,.0f} are paid: "
                "the reserved GPUs do not suffice."
            )
    return tuple(notes)

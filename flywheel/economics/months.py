"""`months_ahead` and `pay_back_of`: 24 months of both ways, and when the savings pay what was invested."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flywheel.economics.answer_costs import MONTH_DAYS
from flywheel.economics.figure import Figure
from flywheel.economics.prices import Prices

__all__ = ["MONTHS", "Month", "PayBack", "months_ahead", "pay_back_of"]

MONTHS = 24


@dataclass(frozen=True)
class Month:
    """One month ahead; costs in the prices' currency, ``cumulative`` less what was invested."""

    number: int
    start: datetime
    answers: float
    baseline: float
    small: float
    saved: float
    cumulative: float


@dataclass(frozen=True)
class PayBack:
    """When the savings have paid what was invested; ``at`` is None where they do not."""

    at: datetime | None
    reason: str


def months_ahead(
    prices: Prices,
    start: datetime,
    volume: Figure,
    baseline: Figure,
    per_answer: Figure,
    fixed: Figure,
    invested: Figure,
) -> tuple[Month, ...]:
    """Return the months ahead; none where one of the figures has no value.

    Args:
        prices: state the growth of the volume.
        start: of the first month.
        volume: answers of the first month.
        baseline: cost of an answer on the tier.
        per_answer: cost of an answer of the small model that grows with the volume.
        fixed: what the small model costs in a month whatever the volume.
        invested: what was paid before.
    """
    terms = [one.value for one in (volume, baseline, per_answer, fixed, invested)]
    if any(term is None for term in terms):
        return ()
    answers, tier_cost, small, monthly, spent = (float(term or 0.0) for term in terms)
    cumulative, months = -spent, []
    for number in range(1, MONTHS + 1):
        before, after = answers * tier_cost, answers * small + monthly
        cumulative += before - after
        at = start + timedelta(days=(number - 1) * MONTH_DAYS)
        months.append(Month(number, at, answers, before, after, before - after, cumulative))
        answers *= 1 + prices.growth_per_month
    return tuple(months)


def pay_back_of(months: Sequence[Month], invested: Figure) -> PayBack:
    """Return when the savings reach what was invested, within the months given."""
    if not months:
        return PayBack(None, "not computed: figures above are missing")
    before = -float(invested.value or 0.0)
    if before >= 0 and months[0].saved >= 0:
        return PayBack(months[0].start, "at once: nothing was invested")
    for month in months:
        if month.cumulative >= 0:
            part = -before / month.saved
            days = (month.number - 1 + part) * MONTH_DAYS
            at = months[0].start + timedelta(days=days)
            return PayBack(at, f"after {days / MONTH_DAYS:.1f} months")
        before = month.cumulative
    last = months[-1]
    if last.saved <= 0:
        return PayBack(None, f"never: the last month costs {-last.saved:,.0f} more than it saves")
    return PayBack(None, f"not within {MONTHS} months: {-last.cumulative:,.0f} are still open")

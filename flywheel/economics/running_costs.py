"""Costs of the loop itself: judgments, labels, cycles, trainings, engineering; see `add_up` for sums."""

from collections.abc import Sequence

from flywheel.economics.figure import A_MONTH, Figure, compute, measured, missing, stated
from flywheel.economics.measurements import Judgments, Measurements, Trainings
from flywheel.economics.prices import PRICES, Prices

__all__ = [
    "accepted_label",
    "add_up",
    "cycle_costs",
    "engineering_a_month",
    "invested",
    "judgment_cost",
    "judgments_a_month",
    "training_a_month",
]

_NO_ENGINEERING = f"engineering (monthly_cost, share, setup) in {PRICES}"


def judgment_cost(prices: Prices, judged: Judgments) -> Figure:
    """Return what one judgment costs, by the stated or measured minutes."""
    name, unit = "cost of a judgment", "per judgment"
    price = prices.judgments
    if price is None:
        return missing(name, unit, f"judgments (minutes, hourly_wage) in {PRICES}")
    if price.minutes is not None:
        minutes = stated("minutes", price.minutes, "minutes", f"{price.minutes:g} minutes, stated")
    elif judged.seconds is not None:
        text = f"{judged.seconds / 60:.2f} minutes, median of {judged.timed:,} timed judgments"
        minutes = measured("minutes", judged.seconds / 60, "minutes", text)
    else:
        lack = "minutes of a judgment: none was timed, and judgments.minutes is not stated"
        minutes = missing("minutes", "minutes", lack)
    wage = price.hourly_wage
    basis = f"{minutes.basis}, {wage:g} an hour"
    return compute(name, unit, basis, lambda value: value / 60 * wage, minutes)


def accepted_label(judged: Judgments, judgment: Figure) -> Figure:
    """Return what one accepted label costs, all judgments counted."""
    name, unit = "cost per accepted label", "per label"
    if not judged.accepted:
        return missing(name, unit, "accepted labels: people's judgments made none yet")
    count, accepted = judged.count, judged.accepted
    basis = f"{count:,} judgments made {accepted:,} accepted labels"
    return compute(name, unit, basis, lambda cost: cost * count / accepted, judgment)


def _training_hour(prices: Prices) -> Figure:
    name, unit = "training", "an hour"
    if prices.training is None:
        return missing(name, unit, f"training.gpu_hour in {PRICES}")
    hour = prices.training.gpu_hour
    return stated(name, hour, unit, f"{hour:g} an hour")


def cycle_costs(prices: Prices, facts: Measurements, judgment: Figure) -> tuple[Figure, ...]:
    """Return what the newest cycle costs: its judgments, its training, both."""
    if facts.cycle is None:
        return (missing("cost of this cycle", "a cycle", "a cycle: none was opened yet"),)
    judged, trained = facts.cycle_judgments, facts.cycle_trainings
    count = 0 if judged is None else judged.count
    name = f"cost of cycle {facts.cycle}"
    people = compute(
        f"{name}, judgments", "a cycle", f"{count:,} judgments", lambda c: c * count, judgment
    )
    machine = _trained(f"{name}, training", "a cycle", prices, trained)
    return people, machine, add_up(name, (people, machine), "a cycle")


def _trained(name: str, unit: str, prices: Prices, trained: Trainings | None) -> Figure:
    if trained is None or not trained.count:
        return missing(name, unit, "hours of a training: none has ended yet")
    hours = trained.hours
    word = "training" if trained.count == 1 else "trainings"
    basis = f"{trained.count:,} {word} of {hours:.2f} hours in all"
    return compute(name, unit, basis, lambda hour: hour * hours, _training_hour(prices))


def judgments_a_month(facts: Measurements, judgment: Figure) -> Figure:
    """Return what the judgments of the review budget cost in a month."""
    count = facts.planned_judgments_per_year / 12
    basis = f"{count:,.0f} judgments a month: review.budget of the workload file"
    return compute("judgments a month", A_MONTH, basis, lambda cost: cost * count, judgment)


def training_a_month(prices: Prices, facts: Measurements) -> Figure:
    """Return what the trainings of the cadence cost in a month."""
    name, trained = "trainings a month", facts.trainings
    if not trained.count:
        return missing(name, A_MONTH, "hours of a training: none has ended yet")
    hours = trained.hours / trained.count
    monthly = facts.cycles_per_year / 12
    basis = (
        f"{facts.cycles_per_year:g} cycles a year of {hours:.2f} hours each, "
        f"mean of {trained.count:,}"
    )
    price = _training_hour(prices)
    return compute(name, A_MONTH, basis, lambda hour: hour * hours * monthly, price)


def engineering_a_month(prices: Prices) -> Figure:
    """Return what the engineer's share costs in a month."""
    name, price = "engineering a month", prices.engineering
    if price is None:
        return missing(name, A_MONTH, _NO_ENGINEERING)
    basis = f"{price.share:.0%} of {price.monthly_cost:,.0f}"
    return stated(name, price.monthly_cost * price.share, A_MONTH, basis)


def invested(prices: Prices, facts: Measurements, judgment: Figure) -> Figure:
    """Return what was paid so far: setup, judgments, trainings."""
    if prices.engineering is None:
        setup = missing("setup", "once", _NO_ENGINEERING)
    else:
        text = "engineering.setup"
        setup = stated("setup", prices.engineering.setup, "once", text)
    count = facts.judgments.count
    people = compute("judged", "once", "", lambda cost: cost * count, judgment)
    trained = facts.trainings
    parts = [setup, people]
    if trained.count:
        parts.append(_trained("trained", "once", prices, trained))
    basis = f"setup, {count:,} judgments and {trained.count:,} trainings ({trained.hours:.2f} hours) so far"
    return compute("invested so far", "once", basis, lambda *values: sum(values), *parts)


def add_up(name: str, parts: Sequence[Figure], unit: str = A_MONTH) -> Figure:
    """Return the sum of figures; one that is missing makes the sum missing."""
    basis = " + ".join(part.name for part in parts)
    return compute(name, unit, basis, lambda *values: sum(values), *parts)

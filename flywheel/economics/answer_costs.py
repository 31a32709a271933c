"""`baseline_cost`, `small_cost` and `present_cost`: what one answer costs, and what it rests on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flywheel.economics.figure import A_MONTH, Figure, compute, measured, missing, stated
from flywheel.economics.measurements import Measurements, ModelUse
from flywheel.economics.prices import PRICES, Prices, ServingPrice, Tier

__all__ = [
    "MONTH_DAYS",
    "SmallCost",
    "baseline_cost",
    "monthly_volume",
    "per_thousand",
    "present_cost",
    "small_cost",
]

MONTH_DAYS = 365.25 / 12
_ANSWER = "per answer"


@dataclass(frozen=True)
class SmallCost:
    """What serving the small model costs: for each answer, and in a month whatever the volume.

    ``hours`` are the GPU hours of a month's answers, None where nothing limits or measures them.
    """

    per_answer: Figure
    per_month: Figure
    hours: Figure | None = None


def monthly_volume(facts: Measurements) -> Figure:
    """Return the answers of an average month, from those of the window."""
    if not facts.answers:
        return missing("answers a month", "answers", "answers: none landed in the window")
    basis = (
        f"{facts.answers:,} answers in {facts.days:.1f} days to {facts.end:%Y-%m-%d}, "
        f"a month of {MONTH_DAYS:.1f} days"
    )
    if facts.failed:
        basis += f"; {facts.failed:,} failed calls are left out"
    return measured("answers a month", facts.answers / facts.days * MONTH_DAYS, "answers", basis)


def baseline_cost(tier: Tier | None, facts: Measurements) -> Figure:
    """Return what one answer costs on a tier.

    Tokens are those of the tier's own models in the window, else those that the tier states, else
    those of all answers, which the basis says.
    """
    if tier is None:
        return missing("frontier tier", _ANSWER, f"a tier to compare with: tiers in {PRICES}")
    name = f"tier {tier.name}"
    if tier.per_answer is not None:
        return stated(name, tier.per_answer, _ANSWER, "per_answer of the tier")
    own = [use for use in facts.models if not use.is_small and tier.covers(use.model)]
    tokens = _tokens_of(own, f"models of the tier {tier.name}")
    if tokens is None and None not in (tier.input_tokens, tier.output_tokens):
        tokens = _stated_tokens(tier)
    if tokens is None:
        tokens = _tokens_of(
            facts.models,
            "all models; none of the tier answered, whose prompt may be longer",
        )
    if tokens is None:
        lack = "tokens of an answer: no call carried its usage, and the tier states none"
        return missing(name, _ANSWER, lack)
    return _by_tokens(name, tier, *tokens)


def small_cost(serving: ServingPrice | None, facts: Measurements, volume: Figure) -> SmallCost:
    """Return what the small model costs, by answer and by month."""
    if serving is None:
        lack = missing("small model", _ANSWER, f"serving in {PRICES}")
        return SmallCost(lack, lack.renamed("serving a month"))
    free = stated("serving a month", 0.0, A_MONTH, "nothing is reserved: paid by the answer")
    if serving.per_answer is not None:
        name = "small model"
        return SmallCost(stated(name, serving.per_answer, _ANSWER, "serving.per_answer"), free)
    assert serving.gpu_hour is not None  # one of the two is there
    seconds = _small_seconds(serving, facts)
    at_once, hour = serving.answers_at_once, serving.gpu_hour
    if serving.hours_per_month is None:
        formula = f"{hour:g} a GPU hour, {at_once:g} answers at once, for the seconds of an answer"
        cost = compute(
            "small model", _ANSWER, f"{formula} ({seconds.basis})", lambda s: s / 3600 / at_once * hour,
            seconds,
        )  # fmt: skip
        return SmallCost(cost, free)
    monthly = hour * serving.gpus * serving.hours_per_month * serving.share
    basis = (
        f"{serving.gpus} GPU at {hour:g} an hour for {serving.hours_per_month:g} hours, "
        f"of which this workload pays {serving.share:.0%}"
    )
    used = compute(
        "GPU hours of a month's answers", "hours", "volume by seconds of an answer",
        lambda v, s: v * s / 3600 / at_once, volume, seconds,
    )  # fmt: skip
    reserved = stated("serving a month", monthly, A_MONTH, basis)
    nothing = stated("small model", 0.0, _ANSWER, "the GPU is paid for whatever the volume")
    return SmallCost(nothing, reserved, used)


def present_cost(prices: Prices, facts: Measurements, small: Figure) -> Figure:
    """Return what one answer costs now, over the models that answered in the window.

    Args:
        prices: name the tiers of other models.
        facts: which models answered.
        small: what one answer of the small model costs, all that is paid by the month included.
    """
    name = "now"
    if not facts.answers:
        return missing(name, _ANSWER, "answers: none landed in the window")
    parts = [(use.answers, _cost_of(use, prices, small)) for use in facts.models]
    total = facts.answers
    shares = ", ".join(f"{use.answers / total:.0%} {use.model}" for use in facts.models)
    weigh = _weighted([answers / total for answers, _ in parts])
    return compute(name, _ANSWER, f"answered by {shares}", weigh, *(cost for _, cost in parts))


def per_thousand(figure: Figure, name: str) -> Figure:
    """Return a cost per answer as the cost of 1,000."""
    return compute(name, "per 1,000 answers", figure.basis, lambda value: value * 1_000, figure)


def _weighted(weights: Sequence[float]) -> Callable[..., float]:
    return lambda *values: sum(w * v for w, v in zip(weights, values, strict=True))


def _cost_of(use: ModelUse, prices: Prices, small: Figure) -> Figure:
    if use.is_small:
        return small
    tier = prices.tier_of(use.model)
    if tier is None:
        lack = f"a price of the model {use.model}: name it in models of a tier"
        return missing(use.model, _ANSWER, lack)
    if tier.per_answer is not None:
        return stated(use.model, tier.per_answer, _ANSWER, "per_answer of the tier")
    tokens = _tokens_of([use], use.model)
    if tokens is None:
        return missing(use.model, _ANSWER, f"tokens of the answers of {use.model}")
    return _by_tokens(use.model, tier, *tokens)


def _by_tokens(name: str, tier: Tier, given: Figure, answered: Figure) -> Figure:
    return compute(
        name,
        _ANSWER,
        f"{given.value:,.0f} tokens at {tier.input_per_million:g} and {answered.value:,.0f} at "
        f"{tier.output_per_million:g} a million ({given.basis})",
        tier.token_cost,
        given,
        answered,
    )


def _tokens_of(uses: Sequence[ModelUse], whose: str) -> tuple[Figure, Figure] | None:
    with_usage = [
        use for use in uses if use.input_tokens is not None and use.output_tokens is not None
    ]
    count = sum(use.with_tokens for use in with_usage)
    if not count:
        return None
    given = sum(use.with_tokens * (use.input_tokens or 0.0) for use in with_usage) / count
    answered = sum(use.with_tokens * (use.output_tokens or 0.0) for use in with_usage) / count
    basis = f"mean of {count:,} answers of {whose}"
    return (
        measured("tokens of a prompt", given, "tokens", basis),
        measured("tokens of an answer", answered, "tokens", basis),
    )


def _stated_tokens(tier: Tier) -> tuple[Figure, Figure]:
    assert tier.input_tokens is not None  # checked by the caller
    assert tier.output_tokens is not None
    basis = "stated in the tier"
    return (
        stated("tokens of a prompt", tier.input_tokens, "tokens", basis),
        stated("tokens of an answer", tier.output_tokens, "tokens", basis),
    )


def _small_seconds(serving: ServingPrice, facts: Measurements) -> Figure:
    name = "seconds of an answer"
    timed = [use for use in facts.models if use.is_small and use.seconds is not None]
    count = sum(use.with_seconds for use in timed)
    if count:
        mean = sum(use.with_seconds * (use.seconds or 0.0) for use in timed) / count
        return measured(name, mean, "seconds", f"{mean:.3f} s, mean of {count:,} answers")
    if serving.seconds_per_answer is not None:
        text = f"{serving.seconds_per_answer:g} s, serving.seconds_per_answer"
        return stated(name, serving.seconds_per_answer, "seconds", text)
    lack = "seconds of an answer of the small model: none were measured or stated"
    return missing(name, "seconds", lack)

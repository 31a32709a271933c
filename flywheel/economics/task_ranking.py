"""`rank_tasks`: the table of an audit, and which task to tune first and why."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from flywheel.economics.narrowness import FITNESS, Narrowness, judge_narrowness
from flywheel.economics.prices import Prices
from flywheel.economics.task_groups import TaskGroup
from flywheel.privacy.recognizers import find_pii

__all__ = ["TaskLine", "rank_tasks"]

_FEWEST_INPUTS = 300
_SENSITIVE = 0.01


@dataclass(frozen=True)
class TaskLine:
    """One task of a log; None where no call said it. Shares are in [0, 1], times in seconds.

    ``spend`` is what its calls cost at the given prices, ``unpriced`` names models without one.
    ``score`` orders the tasks: what a small model could save of the spend (without prices: of the
    tokens; without tokens: of the calls).
    """

    client: str
    system: str
    opening: str
    calls: int
    failed: int
    calls_per_day: float | None
    models: tuple[tuple[str, int], ...]
    input_tokens: float | None
    output_tokens: float | None
    seconds_p50: float | None
    seconds_p95: float | None
    repetition: float | None
    distinct_inputs: int
    personal_share: float | None
    personal_texts: int
    narrowness: Narrowness
    spend: float | None
    unpriced: tuple[str, ...]
    score: float = 0.0
    reasons: tuple[str, ...] = ()


def rank_tasks(
    groups: Iterable[TaskGroup], prices: Prices | None, *, region: str | None = None
) -> list[TaskLine]:
    """Measure every group and order the tasks, the one to tune first on top.

    Args:
        groups: what was read.
        prices: tiers name the models of the log; None: no spend is shown.
        region: country of telephone numbers and national ids, for personal data.
    """
    lines = [_line(group, prices, region) for group in groups]
    by = _unit_of(lines)
    ranked = [_scored(line, by) for line in lines]
    return sorted(ranked, key=lambda line: (-line.score, -line.calls, line.system, line.opening))


def _line(group: TaskGroup, prices: Prices | None, region: str | None) -> TaskLine:
    counted = sum(count for count, _, _ in group.tokens.values())
    spend, unpriced = _spend(group, prices)
    texts = group.texts.items
    personal = sum(bool(find_pii(text, region=region)) for text in texts)
    return TaskLine(
        client=group.client,
        system=group.system,
        opening=group.opening,
        calls=group.calls,
        failed=group.failed,
        calls_per_day=_per_day(group.calls, group.first_at, group.last_at),
        models=tuple(group.models.most_common()),
        input_tokens=sum(t[1] for t in group.tokens.values()) / counted if counted else None,
        output_tokens=sum(t[2] for t in group.tokens.values()) / counted if counted else None,
        seconds_p50=_quantile(group.seconds.items, 0.5),
        seconds_p95=_quantile(group.seconds.items, 0.95),
        repetition=group.inputs.repetition,
        distinct_inputs=group.inputs.distinct,
        personal_share=personal / len(texts) if texts else None,
        personal_texts=len(texts),
        narrowness=judge_narrowness(group.answers.items, group.answer_counts),
        spend=spend,
        unpriced=unpriced,
    )


def _spend(group: TaskGroup, prices: Prices | None) -> tuple[float | None, tuple[str, ...]]:
    # Calls without usage cost what those of their model do on average.
    if prices is None:
        return None, ()
    total, unpriced = 0.0, []
    for model, calls in group.models.items():
        tier = prices.tier_of(model)
        counted, given, answered = group.tokens.get(model, (0, 0.0, 0.0))
        if tier is None:
            unpriced.append(model)
        elif tier.per_answer is not None:
            total += calls * tier.per_answer
        elif not counted:
            unpriced.append(f"{model} (no usage)")
        else:
            total += tier.token_cost(given, answered) * calls / counted
    return (None if unpriced else total), tuple(unpriced)


def _unit_of(lines: Sequence[TaskLine]) -> str:
    # One measure for all: tasks whose spend is unknown cannot be compared by it.
    if lines and all(line.spend is not None for line in lines):
        return "spend"
    if lines and all(line.input_tokens is not None for line in lines):
        return "tokens"
    return "calls"


def _scored(line: TaskLine, by: str) -> TaskLine:
    amounts = {
        "spend": line.spend or 0.0,
        "tokens": ((line.input_tokens or 0.0) + (line.output_tokens or 0.0)) * line.calls,
        "calls": float(line.calls),
    }
    repeated, kind = line.repetition or 0.0, line.narrowness.kind
    size = f"{amounts[by]:,.2f} of {by}" if by == "spend" else f"{amounts[by]:,.0f} {by}"
    reasons = [size, f"answers are {kind}: {line.narrowness.reason}"]
    score = amounts[by] * (1 - repeated) * FITNESS[kind]
    if repeated:
        reasons.append(f"{repeated:.0%} of its texts came before: a cache answers those")
    if line.distinct_inputs < _FEWEST_INPUTS:
        reasons.append(f"{line.distinct_inputs} different texts are too few to train and judge on")
        score = 0.0
    if line.personal_share is not None and line.personal_share > _SENSITIVE:
        reasons.append(
            f"{line.personal_share:.0%} of its texts hold personal data: set privacy in its file"
        )
    return replace(line, score=score, reasons=tuple(reasons))


def _per_day(calls: int, first: datetime | None, last: datetime | None) -> float | None:
    if first is None or last is None:
        return None
    return calls / max((last - first).total_seconds() / 86_400, 1.0)


def _quantile(values: Sequence[float], share: float) -> float | None:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None

"""What people's judgments become: labels that are probably wrong, and judgments that never train."""

import csv
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean

from bench.figure import Figure
from flywheel.dataset.control_windows import control_windows, figures_of
from flywheel.dataset.examples import Example
from flywheel.review.budget import items_for
from flywheel.review.label_errors import doubtful_labels
from flywheel.workload_sections import ReviewPolicy

__all__ = ["measure"]

_BANKING = Path(__file__).parents[2].parent / "shared" / "data" / "banking77" / "train.csv"
_SEEDS, _LABELS, _WRONG = (1, 2, 3), 1500, 0.05
_QUARTER = timedelta(days=91)
_START = datetime(2026, 1, 1, tzinfo=UTC)


def measure() -> list[Figure]:
    """Plant errors in BANKING77's labels and find them again; play quarters of promotions."""
    figures = [_released(quarters) for quarters in (4, 8)]
    return [*_found_errors(), *figures] if _BANKING.is_file() else figures


def _found_errors() -> list[Figure]:
    with _BANKING.open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    hits: dict[float, list[float]] = {0.03: [], 0.05: [], 0.1: []}
    random_hits: dict[float, list[float]] = {share: [] for share in hits}
    for seed in _SEEDS:
        rng = random.Random(seed)  # noqa: S311 - simulation
        sample = rng.sample(rows, _LABELS)
        names = sorted({label for _, label in sample})
        wrong = set(rng.sample(range(_LABELS), round(_LABELS * _WRONG)))
        labels = [
            rng.choice([name for name in names if name != label]) if place in wrong else label
            for place, (_, label) in enumerate(sample)
        ]
        ranked = [
            one.position for one in doubtful_labels([text for text, _ in sample], labels, seed=seed)
        ]
        for share, found in hits.items():
            checks = round(_LABELS * share)
            found.append(len(wrong & set(ranked[:checks])))
            random_hits[share].append(len(wrong & set(rng.sample(range(_LABELS), checks))))
    return [_error_row(share, hits[share], random_hits[share]) for share in hits]


def _error_row(share: float, hits: list[float], random_hits: list[float]) -> Figure:
    checks, planted = round(_LABELS * share), round(_LABELS * _WRONG)

    def shown(found: list[float]) -> str:
        return f"{mean(found) / checks:.2f} / {mean(found) / planted:.2f}"

    precision = mean(hits) / checks
    best = min(1.0, planted / checks)
    return Figure(
        name=f"5 % wrong labels of BANKING77, {share:.0%} checked: precision / recall",
        before=f"{shown(random_hits)} (random)",
        measured=shown(hits),
        aim=f"precision >= {0.6 * best:.2f}",
        met=precision >= 0.6 * best,
    )


def _released(quarters: int) -> Figure:
    # One promotion a quarter, each judged on the control items of its own quarter.
    policy = ReviewPolicy()
    gold = round(policy.budget * policy.gold)
    items, twice = items_for(policy.budget - gold, policy.overlap, 0.5)
    control = round(items * policy.shares.control)
    paid = quarters * (items + twice + gold)  # the reserve of the agreed comes back and is spent
    promoted = _START + (quarters - 1) * _QUARTER
    examples = [
        _control(quarter, number) for quarter in range(quarters) for number in range(control)
    ]
    windows = control_windows(
        holdout_since=promoted,
        quality_since=promoted,
        champion="r",
        calibrated_on={e.inference_id for e in examples if e.inference_id[0] == str(quarters - 2)},
    )
    resting = sum(bool(figures_of(example, windows)) for example in examples)
    before, now = quarters * control / paid, resting / paid
    return Figure(
        name=f"control items never trained on, of all judgments paid in {quarters} quarters",
        before=f"{before:.1%}",
        measured=f"{now:.1%}",
        aim="the last two quarters' only",
        met=resting == 2 * control,
    )


def _control(quarter: int, number: int) -> Example:
    name = f"{quarter}-{number}"
    moment = _START + quarter * _QUARTER + timedelta(hours=number)
    return Example(name, name, name, name, None, name, name, "control", event_time=moment)

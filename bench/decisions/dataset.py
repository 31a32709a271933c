"""What people's judgments become: labels that are probably wrong, and judgments that never train."""

import csv
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean

import numpy as np

from bench.figure import Figure
from flywheel.dataset.control_windows import control_windows, figures_of
from flywheel.dataset.examples import Example
from flywheel.review.sampling.budget import items_for
from flywheel.review.sampling.label_errors import doubtful_labels
from flywheel.workload.sections import ReviewPolicy

__all__ = ["measure"]

_BANKING = Path(__file__).parents[2].parent / "shared" / "data" / "banking77" / "train.csv"
_SEEDS, _LABELS, _WRONG = (1, 2, 3), 1500, 0.05
_CHECKED = (0.03, 0.05, 0.1)
_LIKE = 5
_QUARTER = timedelta(days=91)
_START = datetime(2026, 1, 1, tzinfo=UTC)


def measure() -> list[Figure]:
    """Plant errors in BANKING77's labels and find them again; play quarters of promotions."""
    figures = [_released(quarters) for quarters in (4, 8)]
    return [*_found_errors(), *figures] if _BANKING.is_file() else figures


def _found_errors() -> list[Figure]:
    with _BANKING.open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    figures = []
    for kind in ("drawn at random", "taken for a like one"):
        found: dict[float, list[int]] = {share: [] for share in _CHECKED}
        by_chance: dict[float, list[int]] = {share: [] for share in _CHECKED}
        for seed in _SEEDS:
            rng = random.Random(seed)  # noqa: S311 - simulation
            sample = rng.sample(rows, _LABELS)
            texts = [text for text, _ in sample]
            wrong = set(rng.sample(range(_LABELS), round(_LABELS * _WRONG)))
            labels = _planted(texts, [label for _, label in sample], wrong, kind, rng)
            ranked = [one.position for one in doubtful_labels(texts, labels, seed=seed)]
            for share in _CHECKED:
                checks = round(_LABELS * share)
                found[share].append(len(wrong & set(ranked[:checks])))
                by_chance[share].append(len(wrong & set(rng.sample(range(_LABELS), checks))))
        figures += [_error_row(kind, share, found[share], by_chance[share]) for share in _CHECKED]
    return figures


def _planted(
    texts: list[str], labels: list[str], wrong: set[int], kind: str, rng: random.Random
) -> list[str]:
    # A like label is one of the five whose texts share most words with the text.
    from sklearn.feature_extraction.text import TfidfVectorizer

    names = sorted(set(labels))
    vectors = TfidfVectorizer(sublinear_tf=True).fit_transform(texts)
    members = [np.array([label == name for label in labels]) for name in names]
    centers = np.vstack([np.asarray(vectors[rows].mean(axis=0)).ravel() for rows in members])
    planted = list(labels)
    for place in sorted(wrong):
        others = [number for number, name in enumerate(names) if name != labels[place]]
        if kind == "taken for a like one":
            likeness = np.asarray(vectors[place] @ centers.T).ravel()
            others = sorted(others, key=lambda number: -likeness[number])[:_LIKE]
        planted[place] = names[rng.choice(others)]
    return planted


def _error_row(kind: str, share: float, found: list[int], by_chance: list[int]) -> Figure:
    checks, planted = round(_LABELS * share), round(_LABELS * _WRONG)

    def shown(hits: list[int]) -> str:
        return f"{mean(hits) / checks:.2f} / {mean(hits) / planted:.2f}"

    ratio = mean(found) / (checks * _WRONG)
    return Figure(
        name=f"5 % wrong labels of BANKING77, {kind}, {share:.0%} checked: precision / recall",
        before=f"{shown(by_chance)} (random)",
        measured=shown(found),
        aim="5 times random",
        met=ratio >= 5,  # noqa: PLR2004 - the aim
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

"""Figures of the decision on windows: who is asked about, and whether sampling ever stops."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from bench.decisions.sampling_calendar import Rule, play
from bench.decisions.sampling_world import make_world
from bench.figure import Figure
from flywheel.ports.review_queue import ReviewItem
from flywheel.review.sampling.candidates import Candidate, current_complaints
from flywheel.review.sampling.draws import choose_items
from flywheel.review.sampling.windows import paced_budget
from flywheel.simulation.traffic import generate
from flywheel.workload.files import load_workload

__all__ = ["measure"]

_WORKLOAD = Path(__file__).parents[2] / "deploy" / "workloads" / "defect_reports.yaml"
_BEGIN, _PROMOTED = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
_END, _DAY = datetime(2026, 7, 1, tzinfo=UTC), timedelta(days=1)
_WINDOW_DAYS, _BUDGET, _PER_DAY = 15, 70, 30
_COMPLAINTS = 0.15  # share of the wrong answers
_WORLDS, _DAILY_BATCHES = 100, 360


def measure() -> list[Figure]:
    """Simulate both and return their figures."""
    return [*_champion_figures(), *_calendar_figures(), *_small_batch_figures()]


# -- who is asked about ----------------------------------------------------------------------------


def _champion_figures() -> list[Figure]:
    asked = {rule: _asked_after_promotion(rule) for rule in ("before", "windows")}
    shares, complaints = {}, {}
    for rule, items in asked.items():
        searched = [item for item in items if item.slice != "control"]
        mine = sum(item.release == "champion" for item in searched)
        shares[rule] = f"{mine} of {len(searched)}"
        flagged = [item for item in items if item.slice == "flagged"]
        right = sum(item.release == "champion" for item in flagged)
        complaints[rule] = f"{right} of {len(flagged)}"
    searched = [item for item in asked["windows"] if item.slice != "control"]
    control = [item for item in asked["windows"] if item.slice == "control"]
    return [
        Figure(
            "uncertain, novel and flagged items of the quarter after a promotion about the champion",
            shares["before"],
            shares["windows"],
            "all",
            all(item.release == "champion" for item in searched),
        ),
        Figure(
            "complaints of that quarter that were about the champion",
            complaints["before"],
            complaints["windows"],
            "all",
            bool(control) and complaints["windows"].split(" of ")[0] != "0",
        ),
    ]


def _asked_after_promotion(rule: str) -> list[ReviewItem]:
    workload = load_workload(_WORKLOAD)
    answers = _answers()
    asked: list[ReviewItem] = []
    start = _BEGIN
    while start < _END:
        end = start + _WINDOW_DAYS * _DAY
        done = {item.inference_id for item in asked}
        left = [a for a in answers if a.event_time < end and a.inference_id not in done]
        answering = {"champion"} if end > _PROMOTED else {"base"}
        asked += choose_items(
            workload,
            _candidates(rule, left, start, answering),
            budget=_BUDGET,
            batch_id=f"{start:%Y%m%d}",
            period="",
            seed=workload.seed,
            now=end,
            known_texts=_known() + tuple(item.input for item in asked),
        )
        start = end
    return [item for item in asked if item.chosen_at > _PROMOTED]


def _candidates(
    rule: str, answers: Sequence[Candidate], start: datetime, answering: set[str]
) -> list[Candidate]:
    found = []
    for answer in answers:
        in_window = answer.event_time >= start
        if rule == "before":  # any answer with a complaint, the oldest first
            age = _BEGIN + (_END - answer.event_time)
            found.append(replace(answer, in_window=in_window, flagged_at=age))
        else:
            current = in_window and answer.release in answering
            found.append(replace(answer, in_window=in_window, searchable=current))
    if rule != "before":
        found = current_complaints(found, answering, [])
    return [a for a in found if a.in_window or a.flag is not None]


@cache
def _answers() -> tuple[Candidate, ...]:
    # Base is wrong nearly always, unsure, and complained about; the champion is right and sure.
    rng = np.random.default_rng(7)
    workload = load_workload(_WORKLOAD)
    calls = generate(workload, start=_BEGIN, end=_END, per_day=_PER_DAY, seed=7, drift=None)
    found = []
    for call in calls:
        champion = call.timestamp >= _PROMOTED
        right = rng.random() < (0.9 if champion else 0.05)
        confidence = rng.uniform(0.8, 1) if right else rng.uniform(0.4, 0.95)
        complained = not right and rng.random() < _COMPLAINTS
        found.append(
            Candidate(
                inference_id=call.inference_id,
                input=call.text,
                output="right" if right else "wrong",
                confidence=confidence if champion else confidence / 2,
                release="champion" if champion else "base",
                subject_id=None,
                event_time=call.timestamp,
                flag=("client marked it wrong", 1.0) if complained else None,
                flagged_at=call.timestamp if complained else None,
            )
        )
    return tuple(found)


@cache
def _known() -> tuple[str, ...]:
    workload = load_workload(_WORKLOAD)
    year_before = _BEGIN - 365 * _DAY
    calls = generate(
        workload, start=year_before, end=year_before + 20 * _DAY, per_day=10, seed=8, drift=None
    )
    return tuple(call.text for call in calls)


# -- two years -------------------------------------------------------------------------------------


def _calendar_figures() -> list[Figure]:
    stopped: dict[Rule, int] = {"before": 0, "windows": 0}
    foreign: dict[Rule, int] = {"before": 0, "windows": 0}
    overspent = unseen = twice = 0
    for seed in range(_WORLDS):
        plain = make_world(seed, steps=False)
        for rule in ("before", "windows"):
            played = play(plain, rule)
            stopped[rule] += bool(played.dry_periods)
            foreign[rule] += bool(played.foreign_periods)
        twice += bool(played.frames.max() > 1)
        stepped = play(make_world(seed))
        overspent += stepped.overspent + played.overspent
        unseen += stepped.unseen + played.unseen
        stopped["windows"] += bool(stepped.dry_periods and not played.dry_periods)
    of = f" of {_WORLDS}"
    return [
        Figure(
            "two-year worlds in which a whole period went without a batch",
            f"{stopped['before']}{of}",
            f"{stopped['windows']}{of}",
            "0",
            not stopped["windows"],
        ),
        Figure(
            "worlds in which wrong event times charged a period of another age",
            f"{foreign['before']}{of}",
            f"{foreign['windows']}{of}",
            "0",
            not foreign["windows"],
        ),
        Figure("draws beyond a period's budget", "0", str(overspent), "0", not overspent),
        Figure("answers that no window held", "not recorded", str(unseen), "0", not unseen),
        Figure(
            "worlds with an answer in two frames (no clock stepped)",
            "not recorded",
            f"{twice}{of}",
            "0",
            not twice,
        ),
    ]


# -- small batches ---------------------------------------------------------------------------------


def _small_batch_figures() -> list[Figure]:
    workload = load_workload(_WORKLOAD)
    share = workload.review.shares.control
    day = [a for a in _answers() if a.event_time < _BEGIN + 3 * _DAY]
    drawn: list[ReviewItem] = []
    for number in range(_DAILY_BATCHES):
        drawn += choose_items(
            workload, day, budget=1, batch_id=f"day-{number}", period="", seed=1, now=_BEGIN
        )
    control = sum(item.slice == "control" for item in drawn) / len(drawn)
    before, after = _last_window("before"), _last_window("windows")
    return [
        Figure(
            f"control share of a judgment a day ({_DAILY_BATCHES} days; the workload says {share})",
            "1.00",
            f"{control:.2f}",
            f"{share} within 0.06",
            abs(control - share) <= 0.06,  # noqa: PLR2004 - 2.4 standard errors
        ),
        Figure(
            "share of a quarter's budget that its last day gets, where traffic was thin",
            f"{before:.2f}",
            f"{after:.2f}",
            "at most 0.03",
            after <= 0.03,  # noqa: PLR2004 - twice the even share, and rounding
        ),
    ]


def _last_window(rule: Literal["before", "windows"]) -> float:
    # Daily windows of which most leave a part of their pace unspent.
    workload = load_workload(_WORKLOAD)
    budget = workload.review.budget
    rng, left, wanted = np.random.default_rng(3), budget, 0
    days = (_PROMOTED - _BEGIN).days
    for number in range(days):
        start = _BEGIN + number * _DAY
        if rule == "before":
            wanted = int(left / (days - number))
        else:
            wanted = paced_budget(workload, left, start, start + _DAY, begun=_BEGIN)
        left -= min(wanted, int(rng.poisson(3.2)))
    return wanted / budget

"""`python -m bench canary`: what the verdicts on canary and shadow get right, by seeded simulation.

Beside them stands a z-test at every look, or at the end alone. `measure` returns the table.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench.figure import Figure
from bench.simulated_canary import Canary, alarms, intervals, z_alarms
from flywheel.evaluate.paired import PairedCounts, mcnemar_exact
from flywheel.evaluate.shadow import paired_interval

__all__ = ["measure"]

_EQUAL = Canary()
_HARM = Canary(candidate=0.09)
_FEW = Canary(champion_answers=5400, candidate_answers=600)
# A thousand runs leave the rate uncertain by 1.4 points.
_RUNS_FOR_RARE = 20_000
_DAY = tuple(0.07 + 0.05 * np.sin(np.arange(100) / 4))
_LEVEL, _POWER = 0.05, 0.95
_SHADOW_DAYS, _PAIRS_A_DAY, _SHADOW_RUNS = 14, 40, 1000


def measure() -> list[Figure]:
    """Return false alarms, harm found, equivalence, coverage and shadow verdicts."""
    return [*_false_alarms(), *_harm(), *_several_metrics(), *_equivalence(), *_shadow()]


def _false_alarms() -> list[Figure]:
    rows = (
        ("1,000 an arm", _EQUAL),
        ("the same, 20,000 runs", replace(_EQUAL, runs=_RUNS_FOR_RARE)),
        ("100 an arm", replace(_EQUAL, champion_answers=100, candidate_answers=100)),
        ("both rates move between 2% and 12%", replace(_EQUAL, champion=_DAY, candidate=_DAY)),
        ("rates of 0.5%", replace(_EQUAL, champion=0.005, candidate=0.005)),
        ("10% canary, 600 against 5,400", replace(_FEW, runs=_RUNS_FOR_RARE)),
    )
    figures = [
        _false_alarm(f"equal arms called worse, 100 looks, {words}", canary, "at most 5%")
        for words, canary in rows
    ]
    clustered = replace(_EQUAL, subjects=10, correlation=0.02)
    words = "the same, 10 subjects an arm, correlation 0.02 within each (not covered)"
    return [*figures, _false_alarm(words, clustered, "")]


def _false_alarm(words: str, canary: Canary, aim: str) -> Figure:
    rate = float(np.mean(alarms(canary) > 0))
    return Figure(
        name=words,
        before=f"{np.mean(z_alarms(canary)[0] > 0):.1%} two-sided z-test at each look",
        measured=f"{rate:.1%}",
        aim=aim,
        met=not aim or rate <= _LEVEL,
    )


def _harm() -> list[Figure]:
    rows = (
        ("5% to 9% found within 1,000 an arm", _HARM, _POWER),
        ("the same, 5,000 runs", replace(_HARM, runs=5000), _POWER),
        ("9% found by a 10% canary of 600 against 5,400", replace(_FEW, candidate=0.09), _POWER),
        ("5% to 20% found within 1,000 an arm", replace(_EQUAL, candidate=0.2), _POWER),
        ("5% to 7% found within 1,000 an arm", replace(_EQUAL, candidate=0.07), None),
    )
    return [_found(words, canary, aim) for words, canary, aim in rows]


def _several_metrics() -> list[Figure]:
    figures = []
    for metrics, needed in ((2, 1200), (4, 1400)):
        equal = replace(_EQUAL, metrics=metrics)
        rate = float(np.mean(alarms(equal) > 0))
        figures.append(_at_most(f"equal arms called worse, {metrics} guard metrics", rate))
        harm = replace(_HARM, metrics=metrics)
        more = replace(harm, champion_answers=needed, candidate_answers=needed)
        figures += [
            _found(f"5% to 9% on one of {metrics} metrics, 1,000 an arm", harm, None),
            _found(f"5% to 9% on one of {metrics} metrics, {needed:,} an arm", more, _POWER),
        ]
    return figures


def _found(words: str, canary: Canary, aim: float | None) -> Figure:
    looks = alarms(canary)
    found, step = float(np.mean(looks > 0)), canary.candidate_answers // canary.looks
    middle = f"; half of them within {np.median(looks[looks > 0]) * step:.0f}" if found else ""
    return Figure(
        name=words,
        before=f"{np.mean(z_alarms(canary, limit=1.645)[1]):.1%} one-sided z-test at the end alone",
        measured=f"{found:.1%}{middle}",
        aim="" if aim is None else f"at least {aim:.0%}",
        met=aim is None or found >= aim,
    )


def _equivalence() -> list[Figure]:
    figures = []
    for margin, answers in ((0.02, 10_000), (0.01, 40_000)):
        canary = Canary(
            margin=margin, champion_answers=answers, candidate_answers=answers, looks=200
        )
        lower, upper = intervals(canary)
        inside = (lower >= -margin) & (upper <= margin)
        looks = np.where(inside.any(axis=0), inside.argmax(axis=0) + 1, 0)
        share, step = float(np.mean(looks > 0)), answers // canary.looks
        when = np.quantile(looks[looks > 0], [0.5, 0.9]) * step
        figures.append(
            Figure(
                name=f"equal arms of 5% called equivalent within {margin:.0%}, {answers:,} an arm",
                before="-",
                measured=f"{share:.1%}; half within {when[0]:,.0f}, nine in ten within {when[1]:,.0f}",
                aim="at least 95%",
                met=share >= _POWER,
            )
        )
    apart = replace(_EQUAL, candidate=0.07, champion_answers=10_000, candidate_answers=10_000)
    lower, upper = intervals(apart)
    called = ((lower >= -apart.margin) & (upper < apart.margin)).any(axis=0).mean()
    missed = (lower > 0.02).any(axis=0).mean(), (upper < 0.02).any(axis=0).mean()  # noqa: PLR2004
    figures += [
        _at_most("arms a margin apart called equivalent", float(called)),
        _at_most("true difference below the lower bound at some look", float(missed[0])),
        _at_most("true difference above the upper bound at some look", float(missed[1])),
    ]
    return figures


def _at_most(words: str, rate: float) -> Figure:
    return Figure(words, "-", f"{rate:.1%}", "at most 5%", rate <= _LEVEL)


def _shadow() -> list[Figure]:
    # 40 judged pairs a day for a fortnight, 10 % of them discordant, looked at each day.
    figures = []
    for words, difference in (
        ("equal candidate", 0.0),
        ("5 points worse", -0.05),
        ("8 points worse", -0.08),
    ):
        worse, tested = _shadow_verdicts(difference)
        figures.append(
            Figure(
                name=f"shadow, {words}, called worse, 14 looks at 40 pairs a day",
                before=f"{tested:.1%} McNemar each day",
                measured=f"{worse:.1%}",
                aim="" if difference else "at most 5%",
                met=bool(difference) or worse <= _LEVEL,
            )
        )
    return figures


def _shadow_verdicts(difference: float) -> tuple[float, float]:
    rng = np.random.default_rng(13)
    chances = [(0.1 + difference) / 2, (0.1 - difference) / 2, 0.9]
    days: NDArray[np.int64] = rng.multinomial(
        _PAIRS_A_DAY, chances, size=(_SHADOW_RUNS, _SHADOW_DAYS)
    ).cumsum(axis=1)
    worse = tested = 0
    for run in days:
        counts = [PairedCounts(int(day.sum()), int(day[0]), int(day[1])) for day in run]
        worse += any(paired_interval(count, significance=_LEVEL)[1] < 0 for count in counts)
        tested += any(mcnemar_exact(count) < _LEVEL for count in counts)
    return worse / _SHADOW_RUNS, tested / _SHADOW_RUNS

"""`make_world`: what happens to a workload in two random years, for `sampling_calendar` to play.

A world has a cadence, a time zone, changing budgets, days without a tick, pushes by hand, answers
that land late or carry a wrong clock, and a platform whose own clock is stepped.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from flywheel.workload.model import Workload, parse_workload

__all__ = ["BEGIN", "DAYS", "Times", "World", "make_world"]

Times = npt.NDArray[np.int64]  # microseconds since 1970

BEGIN, DAYS = datetime(2026, 1, 1, tzinfo=UTC), 730
_DAY = 86_400_000_000
_ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo")
_STEPS = (-9000.0, -10.0, -0.2, 0.2, 10.0, 200.0, 1500.0)  # days
_LATE, _WRONG_CLOCK = 0.02, 0.003  # shares of the answers


@dataclass(frozen=True)
class World:
    """What happens to a workload in two years.

    ``event`` and ``landed`` are the stamps of the answers, ``visible`` the true moments from which
    they can be read, ``position`` their place in the log; ``offset`` is how far the platform's clock is wrong on each day, ``budget``
    the budget that the owner has set, ``ticks`` the days on which sampling runs, and ``pushes``
    those on which somebody pushes that many judgments by hand.
    """

    cadence: str
    timezone: str
    event: Times
    landed: Times
    visible: Times
    position: Times
    offset: Times
    budget: npt.NDArray[np.int64]
    ticks: npt.NDArray[np.bool_]
    pushes: dict[int, int]

    def workload(self, day: int) -> Workload:
        """Return the workload with the budget of a day."""
        raw = {
            "id": "parts",
            "owner": "bench",
            "cadence": self.cadence,
            "timezone": self.timezone,
            "task": {"type": "classification"},
            "taxonomy": {"version": 1, "labels": [{"id": n, "name": n} for n in ("a", "b")]},
            "prompt": "{input}\n",
            "review": {"budget": int(self.budget[day])},
        }
        return parse_workload(raw, source="bench")


def make_world(seed: int, *, steps: bool = True, wrong_clocks: bool = True) -> World:
    """Draw a world; same seed, same world."""
    rng = np.random.default_rng(seed)
    first = int(rng.integers(0, 80))
    days = np.repeat(np.arange(first, DAYS), rng.poisson(5, DAYS - first))
    event = (days * _DAY + rng.integers(0, _DAY, len(days))).astype(np.int64)
    lag = rng.exponential(1 / 24, len(days)) + (rng.random(len(days)) < _LATE) * rng.uniform(
        0, 20, len(days)
    )
    visible = event + (lag * _DAY).astype(np.int64)
    offset = np.zeros(DAYS + 60, dtype=np.int64)
    if steps:
        for at in rng.integers(100, DAYS - 120, 3):
            offset[at : at + rng.integers(1, 4)] = int(rng.choice(_STEPS) * _DAY)
    landed = visible + offset[visible // _DAY]
    if wrong_clocks:
        event = np.where(rng.random(len(event)) < _WRONG_CLOCK, (2000 - 2026) * 365 * _DAY, event)
        event = np.where(rng.random(len(event)) < _WRONG_CLOCK, (2040 - 2026) * 365 * _DAY, event)
    budget = np.full(DAYS, rng.choice([5, 30, 90, 400, 2000]))
    for at in rng.integers(first, DAYS, 2):
        budget[at:] = max(1, int(budget[at] * rng.choice([0.1, 0.5, 2])))
    ticks = np.arange(DAYS) > first
    for at in rng.integers(first, DAYS, 4):
        ticks[at : at + int(rng.integers(1, 60))] = False
    ticks[-30:] = True
    base = int(BEGIN.timestamp() * 1e6)
    return World(
        cadence=str(rng.choice(["monthly", "quarterly", "yearly"])),
        timezone=str(rng.choice(_ZONES)),
        event=event + base,
        landed=landed + base,
        visible=visible + base,
        position=np.argsort(np.argsort(visible, kind="stable"), kind="stable"),
        offset=offset,
        budget=budget,
        ticks=ticks,
        pushes={int(at): 500 for at in rng.integers(first + 10, DAYS, 2)},
    )

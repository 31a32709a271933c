"""What one day costs against a history of 1, 10 and 100 days: processor seconds, as ratios.

`python -m bench history` takes days of 10,000 events; `python -m bench.history EVENTS` any other.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.history_days import HistoryDays
from bench.ratio import Ratio
from flywheel.clock import ManualClock
from flywheel.drift.profile import profile_days, stale_days
from flywheel.drift.window import Window
from flywheel.ingest.ledger import count_ids
from flywheel.lake.maintenance import maintain
from flywheel.lake.store import Lake
from flywheel.quality.control_slice import control_accuracy
from flywheel.quality.traffic_start import newest_answer, traffic_start
from flywheel.review.merging.agreement import review_agreement
from flywheel.review.merging.annotator_figures import annotator_figures
from flywheel.review.sampling.candidate_query import CandidateQuery
from flywheel.review.sampling.candidates import known_texts, read_candidates
from flywheel.review.sampling.gold import read_known_answers
from flywheel.review.sampling.sent_items import read_sent
from flywheel.review.sampling.window_ledger import landed_through, seen_positions
from flywheel.review.sampling.windows import ReviewWindow
from flywheel.settings import Settings
from flywheel.trigger.ledger import gather_signals
from flywheel.usecases.status import deployment_status
from flywheel.wiring import Platform
from flywheel.workload.files import load_workload

__all__ = ["measure"]

_WORKLOADS = Path(__file__).parent.parent / "deploy" / "workloads"
_HISTORIES = (1, 10, 100)
_EVENTS = 10_000
_ROUNDS = 2
_AIM = 1.2
_COUNT = "SELECT count(*) FROM first_inferences WHERE workload_id = $workload AND day = $day"


@dataclass(frozen=True)
class Step:
    """A piece of a day's work, and how many times its first cost it may have; None: reported."""

    name: str
    aim: float | None
    run: Callable[[], object]


def measure(events: int = _EVENTS, histories: tuple[int, ...] = _HISTORIES) -> list[Ratio]:
    """Measure each step at the smallest and at the largest history."""
    costs = measure_histories(events, histories)
    first, last = costs[histories[0]], costs[histories[-1]]
    rows = f"{histories[-1]} days of {events:,} / {histories[0]}"
    return [
        Ratio(
            f"{name}, {rows}",
            measured=1000 * last[name][0],
            anchor=1000 * first[name][0],
            unit="ms CPU",
            aim="reported" if aim is None else f"at most {aim}",
            good=aim is None or last[name][0] <= aim * first[name][0],
        )
        for name, (_, aim) in first.items()
    ]


def measure_histories(
    events: int, histories: tuple[int, ...]
) -> dict[int, dict[str, tuple[float, float | None]]]:
    """Return the processor seconds of every step and its aim, by the days of history."""
    workload = load_workload(_WORKLOADS / "defect_reports.yaml")
    costs: dict[int, dict[str, tuple[float, float | None]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        lake = Lake(home / "lake")
        days = HistoryDays(lake, workload, events)
        for history in histories:
            days.write(history - 1 - days.written)
            _bring_up(lake)
            started = time.process_time()
            days.write(1)
            _bring_up(lake)
            landing = time.process_time() - started
            costs[history] = {"the day lands, its repeats are found": (landing, None)}
            maintain(lake, now=days.end)  # as every night
            _bring_up(lake)
            costs[history] |= _daily(home, days)
        lake.close()
    return costs


def _bring_up(lake: Lake) -> None:
    lake.query("SELECT 1 FROM first_inferences LIMIT 1")


def _daily(home: Path, days: HistoryDays) -> dict[str, tuple[float, float | None]]:
    # Each in a lake that was just opened, as a process of the daily run has it.
    names = {step.name: step.aim for step in _steps(Lake(home / "lake"), home, days)}
    taken: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(_ROUNDS):
        for number, name in enumerate(names):
            lake = Lake(home / "lake")
            step = _steps(lake, home, days)[number]
            started = time.process_time()
            step.run()
            taken[name].append(time.process_time() - started)
            lake.close()
    return {name: (min(taken[name]), names[name]) for name in names}


def _steps(lake: Lake, home: Path, days: HistoryDays) -> list[Step]:
    workload, day = days.workload, days.day(days.written - 1)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    now, end = days.end, start + timedelta(days=1)
    window = ReviewWindow(
        "bench", "2026Q1", start, end, start, now, 60, 0, "", now, positions={"t/0": 2**62}
    )
    before = {"t/0": days.events * (days.written - 1) - 1}
    settings = Settings(home=home, workloads=_WORKLOADS)
    platform = Platform(settings, ManualClock(now), lake=lake)
    key = {"workload": workload.id, "day": day}

    def bookkeeping() -> None:
        seen_positions(lake, workload.id)
        landed_through(lake, workload.id, now)
        traffic_start(lake, workload.id)
        newest_answer(lake, workload.id)

    return [
        Step("profile of the day", _AIM, lambda: profile_days(lake, workload, [day])),
        Step(
            "days whose profile is stale",
            None,
            lambda: stale_days(lake, workload, Window(day, day + timedelta(days=1))),
        ),
        Step(
            "candidates of the day read",
            _AIM,
            lambda: read_candidates(
                CandidateQuery(lake, workload.id, window, start, before), answering={"base"}
            ),
        ),
        Step(
            "count over first_inferences for the day",
            _AIM,
            lambda: lake.query(_COUNT, key, event_days=[day]),
        ),
        Step("bounds of a window", None, bookkeeping),
        Step("sent items", None, lambda: read_sent(lake, workload.id)),
        Step("known texts", None, lambda: known_texts(lake, workload.id)),
        Step("gold", None, lambda: read_known_answers(lake, workload, now)),
        Step("agreement", None, lambda: review_agreement(lake, workload)),
        Step("annotator figures", None, lambda: annotator_figures(lake, workload)),
        Step(
            "control slice of the day", None, lambda: control_accuracy(lake, workload, start, now)
        ),
        Step(
            "trigger figures",
            None,
            lambda: gather_signals(lake, platform.state, workload, now=now),
        ),
        Step("flywheel status", None, lambda: deployment_status(platform)),
        Step("verify: ids of all events", None, lambda: count_ids(lake, "inferences")),
    ]


def main(events: int) -> None:
    """Print the cost of every step by history, as seconds and as a ratio of the first."""
    costs = measure_histories(events, _HISTORIES)
    table = Table(title=f"CPU-seconds of a day of {events:,} events, by the days of history")
    for column in ("what", *(str(history) for history in _HISTORIES), "growth", "aim"):
        table.add_column(column, justify="left" if column == "what" else "right")
    first = costs[_HISTORIES[0]]
    for name, (seconds, aim) in first.items():
        taken = [costs[history][name][0] for history in _HISTORIES]
        table.add_row(
            name,
            *(f"{value:.3f}" for value in taken),
            f"{taken[-1] / seconds:.2f}",
            "" if aim is None else f"{aim}",
        )
    Console().print(table)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else _EVENTS)

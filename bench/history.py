"""What one day costs against a history of 1, 10 and 100 days: processor seconds, bytes and files.

`python -m bench history` takes days of 10,000 events; `python -m bench.history EVENTS` any other.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.history_days import NO_QUEUE, HistoryDays
from bench.ratio import Ratio
from bench.reads import Cost, cost_of
from flywheel.clock import ManualClock
from flywheel.drift.profile import profile_days, stale_days
from flywheel.drift.window import Window
from flywheel.ingest.event_proof import EVENT_PROOF_FILE
from flywheel.ingest.proven_events import count_events, keep_proof
from flywheel.ingest.unknown_topics import unknown_topics
from flywheel.lake.check import check_table
from flywheel.lake.maintenance import maintain
from flywheel.lake.store import Lake
from flywheel.lake.verified_files import VERIFIED_FILES_FILE, VerifiedFiles
from flywheel.lake.views import EVENT_FIGURES
from flywheel.quality.control_slice import control_accuracy
from flywheel.quality.traffic_start import newest_answer, traffic_start
from flywheel.review.merging.agreement import review_agreement
from flywheel.review.merging.annotator_figures import annotator_figures
from flywheel.review.merging.batch_figures import REVIEW_FIGURES_FOLDER
from flywheel.review.merging.collect import collect
from flywheel.review.sampling.candidate_query import CandidateQuery
from flywheel.review.sampling.candidates import known_texts, read_candidates
from flywheel.review.sampling.gold import read_known_answers
from flywheel.review.sampling.sent_items import spending_by_period
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


Costs = dict[str, tuple[Cost, float | None]]


def measure(events: int = _EVENTS, histories: tuple[int, ...] = _HISTORIES) -> list[Ratio]:
    """Measure each step at the smallest and at the largest history."""
    costs = measure_histories(events, histories)
    first, last = costs[histories[0]], costs[histories[-1]]
    rows = f"{histories[-1]} days of {events:,} / {histories[0]}"
    return [
        Ratio(
            f"{name}, {rows}",
            measured=1000 * last[name][0].seconds,
            anchor=1000 * cost.seconds,
            unit="ms CPU",
            aim="reported" if aim is None else f"at most {aim}",
            good=aim is None or last[name][0].seconds <= aim * cost.seconds,
        )
        for name, (cost, aim) in first.items()
    ]


def measure_histories(events: int, histories: tuple[int, ...]) -> dict[int, Costs]:
    """Return the cost of every step and its aim, by the days of history."""
    workload = load_workload(_WORKLOADS / "defect_reports.yaml")
    costs: dict[int, Costs] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        lake = Lake(home / "lake")
        days = HistoryDays(lake, workload, events)
        for history in histories:
            days.write(history - 1 - days.written)
            _look_after(lake, days)
            _verify(lake, days)
            review_agreement(lake, workload)
            annotator_figures(lake, workload)
            collect(lake, NO_QUEUE, workload, now=days.end)
            evening = {path: path.read_bytes() for path in _proofs(home) if path.exists()}

            def land() -> None:
                days.write(1)
                _bring_up(lake)

            landing = cost_of(land, home / "lake")
            costs[history] = {"the day lands, repeats found, figures counted": (landing, None)}
            _look_after(lake, days)
            costs[history] |= _daily(home, days, evening)
        lake.close()
    return costs


def _look_after(lake: Lake, days: HistoryDays) -> None:
    maintain(lake, now=days.end)  # as every night
    _bring_up(lake)


def _bring_up(lake: Lake) -> None:
    lake.query("SELECT 1 FROM first_inferences LIMIT 1")
    lake.query(f"SELECT 1 FROM {EVENT_FIGURES} LIMIT 1")  # noqa: S608 - a constant name


def _proofs(home: Path) -> list[Path]:
    lake = home / "lake"
    figures = (lake / REVIEW_FIGURES_FOLDER).glob("*")
    return [lake / EVENT_PROOF_FILE, lake / VERIFIED_FILES_FILE, *figures]


def _verify(lake: Lake, days: HistoryDays, *, full: bool = False) -> None:
    keep_proof(lake, count_events(lake, {"t/0": days.events * days.written}, full=full))
    check_table(lake, "inferences", None if full else VerifiedFiles(lake.location.local))


def _daily(home: Path, days: HistoryDays, evening: dict[Path, bytes]) -> Costs:
    # Each in a lake that was just opened, as a process of the daily run has it; what was verified
    # and counted is what had been by the evening before.
    names = {step.name: step.aim for step in _steps(Lake(home / "lake"), home, days)}
    taken: dict[str, list[Cost]] = {name: [] for name in names}
    for _ in range(_ROUNDS):
        for number, name in enumerate(names):
            for path in _proofs(home):
                path.unlink(missing_ok=True)
            for path, content in evening.items():
                path.write_bytes(content)
            lake = Lake(home / "lake")
            step = _steps(lake, home, days)[number]
            taken[name].append(cost_of(step.run, home / "lake"))
            lake.close()
    return {name: (min(taken[name], key=lambda cost: cost.seconds), names[name]) for name in names}


def _steps(lake: Lake, home: Path, days: HistoryDays) -> list[Step]:
    workload, day = days.workload, days.day(days.written - 1)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    now, end = days.end, start + timedelta(days=1)
    window = ReviewWindow(
        "bench", "2026Q1", start, end, start, now, 60, 0, "", now, positions={"t/0": 2**62}
    )
    before = {"t/0": days.events * (days.written - 1) - 1}
    landed = {"t/0": days.events * days.written}
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
            _AIM,
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
        Step("bounds of a window", _AIM, bookkeeping),
        Step(
            "judgments of the day merged", _AIM, lambda: collect(lake, NO_QUEUE, workload, now=now)
        ),
        Step("budgets of all periods", _AIM, lambda: spending_by_period(lake, workload.id)),
        Step("known texts", _AIM, lambda: known_texts(lake, workload.id)),
        Step("gold", _AIM, lambda: read_known_answers(lake, workload, now)),
        Step("agreement", _AIM, lambda: review_agreement(lake, workload)),
        Step("annotator figures", _AIM, lambda: annotator_figures(lake, workload)),
        Step(
            "control slice of the day", _AIM, lambda: control_accuracy(lake, workload, start, now)
        ),
        Step(
            "trigger figures",
            _AIM,
            lambda: gather_signals(lake, platform.state, workload, now=now),
        ),
        Step("flywheel status", _AIM, lambda: deployment_status(platform)),
        Step(
            "verify: events counted for the ledger",
            _AIM,
            lambda: keep_proof(lake, count_events(lake, landed)),
        ),
        Step(
            "verify: topics that the log does not know",
            _AIM,
            lambda: unknown_topics(lake, {"t"}, {}),
        ),
        Step(
            "verify: files of the events compared with their digests",
            _AIM,
            lambda: check_table(lake, "inferences", VerifiedFiles(home / "lake")),
        ),
        Step("verify --full: both of all days", None, lambda: _verify(lake, days, full=True)),
    ]


def main(events: int) -> None:
    """Print the cost of every step by history, as seconds and as a ratio of the first."""
    costs = measure_histories(events, _HISTORIES)
    table = Table(title=f"CPU-seconds of a day of {events:,} events, by the days of history")
    reads = ("MB", "files")
    of_first = (f"{name}, {_HISTORIES[0]}" for name in reads)
    of_last = (f"{name}, {_HISTORIES[-1]}" for name in reads)
    days = map(str, _HISTORIES)
    for column in ("what", *days, "growth", "aim", *of_first, *of_last):
        table.add_column(column, justify="left" if column == "what" else "right")
    first, last = costs[_HISTORIES[0]], costs[_HISTORIES[-1]]
    for name, (cost, aim) in first.items():
        taken = [costs[history][name][0].seconds for history in _HISTORIES]
        table.add_row(
            name,
            *(f"{value:.3f}" for value in taken),
            f"{taken[-1] / cost.seconds:.2f}",
            "" if aim is None else f"{aim}",
            *(f"{one.megabytes:.1f}" if place == 0 else str(one.files)
              for one in (cost, last[name][0]) for place in (0, 1)),
        )  # fmt: skip
    Console(width=160).print(table)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else _EVENTS)

"""Large taxonomies, long queues, long lives: what each costs at a tenth and at full size.

A taxonomy of 4,000 labels, 50,000 open review items, 1,000,000 dead letters, 500 cycles and three
years of profiles; `python -m bench.scale labels` takes one of them.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from bench.ratio import Ratio
from bench.scale_labels import Steps, label_steps
from bench.scale_rows import NOW, letter_rows, profile_rows, review_item, sent_row
from flywheel.clock import ManualClock
from flywheel.drift.merged import read_profile
from flywheel.drift.profile import stale_days
from flywheel.drift.window import Window
from flywheel.lake.tables import TABLES
from flywheel.settings import Settings
from flywheel.usecases.dead_letters import choose_letters, group_letters, list_letters
from flywheel.usecases.explain import explain_cycle, list_cycles
from flywheel.usecases.review_status import review_status
from flywheel.usecases.status import deployment_status
from flywheel.wiring import Platform
from flywheel.workload.model import Workload

__all__ = ["measure"]

# Ten times as much costs ten times as much, with a tenth for what is not measured well.
_LINEAR = 11.0
# Seconds that nobody waits for, whatever the growth is.
_SHORT = 0.5
_SIZES = {"labels": 4_000, "items": 50_000, "letters": 1_000_000, "cycles": 500, "profiles": 1_095}


def measure(names: tuple[str, ...] = ()) -> list[Ratio]:
    """Measure every step of the named subjects, or of all."""
    ratios = []
    for subject in names or tuple(_SIZES):
        size = _SIZES[subject]
        # Full size first: what a process does once, such as imports, must not hide a growth.
        full, tenth = (_seconds(subject, count) for count in (size, size // 10))
        ratios += [
            Ratio(
                f"{name}, {size:,} {subject} / {size // 10:,}",
                measured=full[name],
                anchor=tenth[name],
                unit="s CPU",
                aim=f"at most {_LINEAR:g}",
                good=full[name] <= max(_LINEAR * tenth[name], _SHORT),
            )
            for name in full
        ]
    return ratios


def _seconds(subject: str, count: int) -> dict[str, float]:
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, run in _SUBJECTS[subject](Path(folder), count):
            started = time.process_time()
            run()
            seconds[name] = time.process_time() - started
    return seconds


def _items(folder: Path, count: int) -> Steps:
    platform, workload = _platform(folder)
    queue = platform.queue
    items = [review_item(workload, number) for number in range(count)]
    yield "items sent to the local queue", lambda: queue.push(workload, items)
    rows = pa.Table.from_pylist(
        [sent_row(item) for item in items], schema=TABLES["review_items"].schema
    )
    platform.lake.append("review_items", rows)
    yield "nothing new collected", lambda: queue.pull(workload, "1")
    yield "review status", lambda: review_status(platform, workload)
    yield "status", lambda: deployment_status(platform)


def _letters(folder: Path, count: int) -> Steps:
    platform, _ = _platform(folder)
    at_once = 100_000
    for start in range(0, count, at_once):
        numbers = range(start, min(start + at_once, count))
        platform.lake.append("dead_letters", letter_rows(numbers))
    everything = choose_letters()
    yield "dead letters by reason", lambda: group_letters(platform, everything)
    yield "newest 20 dead letters", lambda: list_letters(platform, everything, limit=20, page=1)
    chosen = choose_letters(contains="99999")
    yield (
        "dead letters that contain a word",
        lambda: list_letters(platform, chosen, limit=20, page=1),
    )
    yield "status", lambda: deployment_status(platform)


def _cycles(folder: Path, count: int) -> Steps:
    platform, workload = _platform(folder)
    state = platform.state

    def open_all() -> None:
        for number in range(count):
            cycle = state.cycles.open(
                workload,
                trigger="drift",
                opened_by="bench",
                reason="for the bench",
                watermark=NOW - timedelta(hours=number),
                snapshot=workload.model_dump(mode="json", by_alias=True),
            )
            state.cycles.set_status(cycle.ref, "stopped", reason="for the bench", actor="bench")

    yield "cycles opened and closed", open_all
    yield "list of cycles", lambda: list_cycles(platform, workload.id)
    yield (
        "the last cycle explained",
        lambda: explain_cycle(platform, state.cycles.of(workload.id)[-1].ref),
    )
    yield "status", lambda: deployment_status(platform)
    yield "audit verified", state.audit.verify


def _profiles(folder: Path, count: int) -> Steps:
    platform, workload = _platform(folder)
    lake = platform.lake
    for start in range(0, count, 100):  # about as compaction leaves them
        days = min(100, count - start)
        rows = profile_rows(workload.id, days=days, categories=200)
        shifted = [day - timedelta(days=start) for day in rows["day"].to_pylist()]
        index = rows.schema.get_field_index("day")
        lake.append("profiles", rows.set_column(index, "day", pa.array(shifted, pa.date32())))
    window = Window(NOW.date() - timedelta(days=7), NOW.date())
    yield "profile of a week", lambda: read_profile(lake, workload, window)
    yield "stale days of a week", lambda: stale_days(lake, workload, window)
    one = profile_rows(workload.id, days=1, categories=200)
    where = {"workload_id": workload.id, "day": one["day"][0].as_py()}
    yield "profile of a day replaced", lambda: lake.replace("profiles", one, where=where)


def _platform(folder: Path) -> tuple[Platform, Workload]:
    workloads = Path(__file__).parent.parent / "deploy" / "workloads"
    platform = Platform(Settings(home=folder, workloads=workloads), ManualClock(NOW))
    return platform, platform.workloads["defect_reports"]


_SUBJECTS: dict[str, Callable[[Path, int], Steps]] = {
    "labels": label_steps,
    "items": _items,
    "letters": _letters,
    "cycles": _cycles,
    "profiles": _profiles,
}


def main() -> None:
    """Print every figure of the subjects named on the command line, or of all."""
    table = Table(title="a tenth and full size")
    for column in ("what", "s CPU", "a tenth", "growth"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for row in measure(tuple(sys.argv[1:])):
        table.add_row(row.name, f"{row.measured:.3f}", f"{row.anchor:.3f}", f"{row.value:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()

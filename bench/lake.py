"""The lake against plain files: exactly-once landing, the thousandth commit, queries over 2M rows.

Landing and queries are taken in turns with their anchors. The cost of a commit is processor time
(the system's share included), since the first and the last of a thousand cannot take turns; the
log's files are made older meanwhile, as they would be in a stream that commits every three seconds.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from bench.drift import fill
from bench.events import START, make_records, make_workload
from bench.ratio import Ratio
from flywheel.events import EventContract
from flywheel.events.columns import AnswerTexts
from flywheel.ingest.arrow import arrange
from flywheel.lake.maintenance import maintain
from flywheel.lake.rows import conform
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.workload.files import load_workload

__all__ = ["measure"]

_REPOSITORY = Path(__file__).parent.parent
_BATCH = 20_000
_LANDINGS = 15
_COMMITS = 1_000
_SMALL = 200
_UPKEEP_EVERY = 100
_DAYS = 14
_QUERIES = 7
_QUERY = """
    SELECT output, count(*) AS events, avg(confidence), max(latency_ms), count(DISTINCT client_id)
    FROM {source} WHERE workload_id = $workload AND day >= $day GROUP BY output
"""
_FIRST = """(
    SELECT * FROM {source} QUALIFY row_number() OVER (PARTITION BY workload_id, inference_id
        ORDER BY landed_at, topic_id, "partition", "offset") = 1)
"""


def measure() -> list[Ratio]:
    """Measure landing, commits and queries, each against its anchor."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        rows = _rows()
        return [*_landings(root, rows), _commits(root, rows), *_queries(root)]


def _rows() -> pa.Table:
    workload = make_workload()
    contract = EventContract([workload])
    batch = arrange(make_records(workload, _BATCH), contract, AnswerTexts(), now=START)
    rows = conform(TABLES["inferences"], batch.rows)
    # A live stream is of one day; events of 20,000 moments in a row are of two.
    day = rows.column_names.index("day")
    return rows.set_column(day, "day", pa.repeat(pa.scalar(START.date()), rows.num_rows))


def _landings(root: Path, rows: pa.Table) -> list[Ratio]:
    lake = Lake(root / "landing")

    def write(number: int) -> None:
        path = root / f"{number}.parquet"
        pq.write_table(rows, path, compression="zstd", compression_level=1)

    def land(number: int) -> None:
        lake.land("inferences", rows, offset_ranges=_moves(number, rows.num_rows))

    taken = in_turns({"lake": land, "parquet": write}, _LANDINGS)
    ratios = []
    for what, unit, index in (("time", "s", 0), ("processor time", "CPU-s", 1)):
        speed = {name: rows.num_rows / seconds[index] for name, seconds in taken.items()}
        ratios.append(
            Ratio(
                f"landing 20,000 events exactly once / plain Parquet write, {what}",
                measured=speed["lake"],
                anchor=speed["parquet"],
                unit=f"events/{unit}",
                aim="at least 0.75",
                good=speed["lake"] >= 0.75 * speed["parquet"],
            )
        )
    return ratios


def _commits(root: Path, rows: pa.Table) -> Ratio:
    lake = Lake(root / "commits")
    few = rows.slice(0, _SMALL)
    cost = []
    for number in range(_COMMITS):
        started = time.process_time()
        lake.land("inferences", few, offset_ranges=_moves(number, _SMALL))
        cost.append(time.process_time() - started)
        if number % _UPKEEP_EVERY == _UPKEEP_EVERY - 1:
            _pass_time(lake.location.local / "inferences" / "_delta_log", 3.0 * _UPKEEP_EVERY)
            maintain(lake, now=START + timedelta(hours=12))
    tenth = _COMMITS // 10
    early, late = cost[1 : tenth + 1], cost[-tenth:]
    measured, anchor = statistics.fmean(late) * 1000, statistics.fmean(early) * 1000
    return Ratio(
        "cost of a commit, the last 100 of 1,000 / the first 100",
        measured=measured,
        anchor=anchor,
        unit="ms CPU",
        aim="at most 1.25",
        good=measured <= 1.25 * anchor,
    )


def _pass_time(folder: Path, seconds: float) -> None:
    for entry in folder.iterdir():
        before = entry.stat().st_mtime
        os.utime(entry, (before - seconds, before - seconds))


def _queries(root: Path) -> list[Ratio]:
    workload = load_workload(_REPOSITORY / "deploy" / "workloads" / "defect_reports.yaml")
    days = [date(2026, 5, 4) + timedelta(days=number) for number in range(_DAYS)]
    lake = Lake(root / "queries")
    fill(lake, workload, days)
    delta = lake.handle("inferences").refresh()
    assert delta is not None
    files = f"read_parquet({sorted(delta.file_uris())!r}, hive_partitioning = true)"
    duck = duckdb.connect()
    duck.execute("SET parquet_metadata_cache = true")
    params = {"workload": workload.id, "day": days[0]}

    def ask_lake(source: str) -> Callable[[int], object]:
        return lambda _: lake.query(_QUERY.format(source=source), params)

    def ask_duck(source: str) -> Callable[[int], object]:
        sql = _QUERY.format(source=source)
        return lambda _: duck.sql(sql, params=params).to_arrow_table()

    ratios = []
    for name, view, source in (
        ("a query over 2M rows", "inferences", files),
        ("the same without duplicates", "first_inferences", _FIRST.format(source=files)),
    ):
        taken = in_turns({"lake": ask_lake(view), "duckdb": ask_duck(source)}, _QUERIES)
        ratios.append(_query_ratio(f"{name} / DuckDB on the same files", taken))
    duck.close()
    lake.close()
    return ratios


def _query_ratio(name: str, taken: dict[str, tuple[float, float]]) -> Ratio:
    ours, anchor = taken["lake"][0], taken["duckdb"][0]
    return Ratio(name, ours, anchor, "s", "at most 1.5", ours <= 1.5 * anchor)


def _moves(number: int, count: int) -> dict[tuple[str, int], tuple[int, int]]:
    each = count // 4
    return {("bench", part): (number * each, (number + 1) * each) for part in range(4)}


def in_turns(
    actions: dict[str, Callable[[int], object]], rounds: int
) -> dict[str, tuple[float, float]]:
    """Return the median seconds and processor seconds of each action.

    They take turns, after one round of warming up, so that a slow moment of the machine hits all.
    """
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in actions}
    for number in range(rounds + 1):
        for name, action in actions.items():
            started = time.perf_counter(), time.process_time()
            action(number)
            ended = time.perf_counter(), time.process_time()
            taken[name].append((ended[0] - started[0], ended[1] - started[1]))
    return {
        name: (
            statistics.median(wall for wall, _ in times[1:]),
            statistics.median(processor for _, processor in times[1:]),
        )
        for name, times in taken.items()
    }

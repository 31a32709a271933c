"""What a soak has measured, as tables."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from bench.soak.daily import Work

__all__ = [
    "Load",
    "fresh_row",
    "freshness",
    "ledger_table",
    "load_table",
    "path_rows",
    "work_table",
]

_MEGABYTE = 2**20


@dataclass(frozen=True)
class Load:
    """Figures of the load.

    Attributes:
        events: how many were sent.
        seconds: from the first event to the last that landed.
        killed: what was killed, in order.
        processor_seconds: of each service and of ingest, as far as seen once a second.
        rss: bytes of the one ingest process that nobody killed, second by second.
        peaks: most bytes of a process of each service.
        disk: bytes of each service's data and of the home.
    """

    events: int
    seconds: float
    killed: list[str]
    processor_seconds: dict[str, float]
    rss: list[int]
    peaks: dict[str, int]
    disk: dict[str, int]

    @property
    def memory(self) -> tuple[float, float, float]:
        """Median of the second fifth and of the last fifth of the run, and the highest; in MB."""
        fifth = max(1, len(self.rss) // 5)
        early, late = self.rss[fifth : 2 * fifth], self.rss[-fifth:]
        sizes = (statistics.median(early or self.rss), statistics.median(late), max(self.rss))
        return tuple(size / _MEGABYTE for size in sizes)  # type: ignore[return-value] # three


def _two_columns(title: str, rows: dict[str, str]) -> Table:
    made = Table(title=title)
    made.add_column("what")
    made.add_column("measured", justify="right")
    for what, measured in rows.items():
        made.add_row(what, measured)
    return made


def load_table(load: Load) -> Table:
    """Lay out what the load took."""
    early, late, most = load.memory
    million = load.events / 1e6
    rows = {
        "seconds, all processes and kills on one machine": f"{load.seconds:,.0f}",
        "events/s": f"{load.events / load.seconds:,.0f}",
        "memory of one ingest process: early, late, most": (
            f"{early:.0f}, {late:.0f}, {most:.0f} MB"
        ),
    }
    for name, seconds in load.processor_seconds.items():
        peak = load.peaks.get(name)
        memory = "" if peak is None else f", {peak / _MEGABYTE:,.0f} MB at most"
        rows[f"{name}: CPU-s (per million){memory}"] = f"{seconds:,.1f} ({seconds / million:,.1f})"
    for name, size in load.disk.items():
        rows[f"{name}: disk, MB (bytes an event)"] = (
            f"{size / _MEGABYTE:,.0f} ({size / load.events:,.0f})"
        )
    killed = ", ".join(load.killed)
    return _two_columns(f"{load.events:,} events; killed with -9: {killed}", rows)


def ledger_table(ledger: dict[str, int]) -> Table:
    """Lay out the ledger, which balances."""
    rows = {name.replace("_", " "): f"{count:,}" for name, count in ledger.items()}
    return _two_columns("the ledger balances: produced = landed + dead letters", rows)


def work_table(done: Sequence[Work], events: int, days: int) -> Table:
    """Lay out the daily work."""
    made = Table(title=f"daily work, {events / max(1, days):,.0f} events a day, {days} days")
    for column in ("step", "CPU-s", "most MB", "s", "said"):
        made.add_column(column, justify="left" if column in {"step", "said"} else "right")
    for each in done:
        figures = (each.processor_seconds, each.megabytes, each.seconds)
        made.add_row(each.step, *(f"{value:,.1f}" for value in figures), each.said)
    return made


def fresh_row(rate: float, p50: float, p99: float) -> str:
    """Say how soon an event could be queried."""
    return f"event to queryable at {rate:,.0f} events/s: p50 {p50:.1f} s, p99 {p99:.1f} s"


def path_rows(taken: dict[str, tuple[float, float]], events: int) -> Table:
    """Lay out the path, its stages alone, and the way by hand."""
    made = Table(title=f"log to lake in one process, {events:,} events, medians")
    for column in ("what", "events/s", "CPU-s per million", "share of CPU"):
        made.add_column(column, justify="left" if column == "what" else "right")
    stages = ("read", "decode", "land")
    alone = tuple(sum(taken[stage][index] for stage in stages) for index in (0, 1))
    names = {"read": "read alone", "decode": "decode alone", "land": "land alone"}
    for key, (seconds, processor) in (taken | {"alone": alone}).items():
        made.add_row(
            names.get(key, "the sum of the three" if key == "alone" else key),
            f"{events / seconds:,.0f}",
            f"{processor / events * 1e6:.1f}",
            f"{processor / alone[1]:.2f}",
        )
    whole = taken["whole"]
    made.caption = (
        f"whole / sum of stages: {alone[0] / whole[0]:.2f} of its speed, "
        f"{alone[1] / whole[1]:.2f} by processor time"
    )
    return made


def freshness(buckets: dict[float, float], share: float) -> float:
    """Return a quantile in seconds from a histogram's counts, straight between two bounds."""
    bounds = sorted(buckets)
    wanted, before, low = share * buckets[bounds[-1]], 0.0, 0.0
    for bound in bounds:
        count = buckets[bound]
        if count >= wanted and count > before:
            high = bound if bound != float("inf") else low
            return low + (high - low) * (wanted - before) / (count - before)
        before, low = count, bound
    return low

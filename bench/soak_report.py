"""What a soak has measured, as tables."""

import statistics
from dataclasses import dataclass

from rich.table import Table

__all__ = ["Soak", "freshness", "path_rows", "table"]

_MEGABYTE = 2**20


@dataclass(frozen=True)
class Soak:
    """Figures of one run; ``rss`` is of the one ingest process that nobody killed, in bytes."""

    events: int
    seconds: float
    landed: int
    duplicates: int
    kills: int
    processor_seconds: float
    rss: list[int]
    freshness_rate: float
    freshness_p50: float
    freshness_p99: float

    @property
    def memory(self) -> tuple[float, float, float]:
        """Median of the second fifth and of the last fifth of the run, and the highest; in MB."""
        fifth = max(1, len(self.rss) // 5)
        early, late = self.rss[fifth : 2 * fifth], self.rss[-fifth:]
        found = (statistics.median(early or self.rss), statistics.median(late), max(self.rss))
        return tuple(size / _MEGABYTE for size in found)  # type: ignore[return-value] # three


def table(soak: Soak) -> Table:
    """Lay the figures out."""
    made = Table(title=f"{soak.events:,} events through a real broker, {soak.kills} kills")
    made.add_column("what")
    made.add_column("measured", justify="right")
    early, late, most = soak.memory
    rows = {
        "ledger": "balances",
        "landed (doubles of the producer's retries among them)": (
            f"{soak.landed:,} ({soak.duplicates:,})"
        ),
        "events/s, producers and kills on the same machine": f"{soak.landed / soak.seconds:,.0f}",
        "CPU-seconds of ingest per million events": (
            f"{soak.processor_seconds / soak.landed * 1e6:.0f}"
        ),
        "memory of one ingest process: early, late, most": (
            f"{early:.0f}, {late:.0f}, {most:.0f} MB"
        ),
        f"event to queryable at {soak.freshness_rate:,.0f} events/s: p50, p99": (
            f"{soak.freshness_p50:.1f}, {soak.freshness_p99:.1f} s"
        ),
    }
    for what, measured in rows.items():
        made.add_row(what, measured)
    return made


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

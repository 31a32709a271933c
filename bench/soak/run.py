"""The parts of a soak: the load with its kills, the ledger, how fresh rows are, the daily work."""

import time
from contextlib import ExitStack
from dataclasses import dataclass

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench.soak.plane import OBJECT_STORE, Plane
from bench.soak.report import Load, freshness
from bench.soak.traffic import Traffic
from flywheel.errors import IntegrityError, UnavailableError
from flywheel.ingest.ledger import prove, require_balance
from flywheel.services.kafka import broker_names

__all__ = ["LoadOptions", "kills", "measure_freshness", "prove_load", "run_load"]

_FRESHNESS = "flywheel_ingest_freshness_seconds"
_FRESH_SECONDS = 60
_PACE_SECONDS = 20
_TOLD_SECONDS = 30


@dataclass(frozen=True)
class LoadOptions:
    """What is sent, by how many processes it is made and landed, and when to give up."""

    events: int
    days: int
    broken_every: int
    producers: int
    processes: int
    linger_seconds: float
    minutes: float

    @property
    def traffic(self) -> list[Traffic]:
        """What each producer sends."""
        even, more = divmod(self.events, self.producers)
        counts = [even + (number < more) for number in range(self.producers)]
        return [Traffic(count, self.days, self.broken_every) for count in counts]


def kills(brokers: int, *, on_disk: bool) -> list[tuple[float, str]]:
    """Return what is killed, and at which share of the whole that has landed.

    Ingest is always the newest of the group, so that the first one's memory can be watched over
    the whole run.
    """
    names = broker_names(brokers)
    kills = [
        (0.1, "ingest"), (0.2, names[0]), (0.3, OBJECT_STORE), (0.4, "ingest"),
        (0.5, names[-1]), (0.6, "ingest"), (0.7, OBJECT_STORE), (0.8, names[len(names) // 2]),
        (0.8, "ingest"),
    ]  # fmt: skip
    return [(share, what) for share, what in kills if what != OBJECT_STORE or not on_disk]


def run_load(plane: Plane, options: LoadOptions, planned: list[tuple[float, str]]) -> Load:
    """Send, land and kill, until everything has landed."""
    todo = list(planned)
    plane.ingest_settings = {"ingest_linger_seconds": options.linger_seconds}
    for _ in range(options.processes):
        plane.follow()
    with ExitStack() as stack:
        progress = stack.enter_context(
            Progress(
                TextColumn("{task.description}"), BarColumn(),
                TextColumn("{task.completed:,.0f} of {task.total:,.0f}"), TimeElapsedColumn(),
                console=plane.console,
            )
        )  # fmt: skip
        producers = [
            stack.enter_context(
                plane.producing(
                    seed=number,
                    count=each.count,
                    days=each.days,
                    broken_every=each.broken_every,
                )
            )
            for number, each in enumerate(options.traffic, start=1)
        ]
        began = told = time.monotonic()
        bar = progress.add_task("events landed", total=options.events)
        while True:
            time.sleep(1.0)
            landed = plane.landed()
            progress.update(bar, completed=landed)
            plane.sample()
            if time.monotonic() - told > _TOLD_SECONDS and not plane.console.is_terminal:
                told = time.monotonic()
                plane.console.print(f"{landed:,} landed after {told - began:,.0f} s")
            if todo and landed >= todo[0][0] * options.events:
                plane.kill(todo.pop(0)[1])
            codes = [producer.poll() for producer in producers]
            if any(codes):
                raise UnavailableError("A producer failed.", next_step="read what it said above")
            # What has not been killed yet is killed all the same: a small run is soon over.
            if codes.count(0) == len(codes) and landed >= plane.produced() and not todo:
                break
            if time.monotonic() - began > 60 * options.minutes:
                raise UnavailableError(
                    f"Only {landed:,} of {options.events:,} events landed in {options.minutes} "
                    "minutes.",
                    next_step=f"read the logs in {plane.home}, or give it more --minutes",
                )
        seconds = time.monotonic() - began
    plane.end()
    plane.ingest_settings = {}
    sizes = [size for _, size in plane.everyone[0].usage.rss]
    return Load(
        events=options.events,
        seconds=seconds,
        killed=[what for _, what in planned],
        processor_seconds=plane.processor_seconds(),
        rss=sizes,
        peaks={name: plane.peak(name) for name in plane.services.names},
        disk=plane.disk(),
    )


def prove_load(plane: Plane, options: LoadOptions) -> dict[str, int]:
    """Prove that each event landed once and each broken one is a dead letter, and count them.

    Raises:
        IntegrityError: something is missing, or counts twice.
    """
    ledger = prove(plane.log, plane.lake, full=True)
    require_balance(ledger)
    broken = sum(each.broken for each in options.traffic)
    counts = {
        name: ledger.total(name) for name in ("produced", "landed", "dead_letters", "lag", "twice")
    }
    counts |= {
        "broken_sent": broken,
        "distinct": ledger.distinct_ids,
        "sent_again": ledger.duplicates,
    }
    missing = options.events - broken - ledger.distinct_ids
    if missing or counts["lag"] or counts["dead_letters"] < broken:
        raise IntegrityError(
            f"{options.events:,} events were made, {broken:,} of them broken; "
            f"{ledger.distinct_ids:,} and {counts['dead_letters']:,} are there.",
            next_step="keep the folder and compare offsets and ids",
        )
    return counts


def measure_freshness(plane: Plane, rate: float) -> tuple[float, float]:
    """Return median and 99th percentile of event to queryable, in seconds, at a rate."""
    follower = plane.follow()
    while not follower.well():
        follower.require_alive()
        time.sleep(0.5)
    # What came while producer and ingest found their pace is not counted.
    began, before = time.monotonic(), follower.buckets(_FRESHNESS)
    with plane.producing(seed=999, count=int(rate * _FRESH_SECONDS), rate=rate) as producer:
        while producer.poll() is None:
            time.sleep(0.5)
            if time.monotonic() - began < _PACE_SECONDS:
                before = follower.buckets(_FRESHNESS)
    while plane.landed() < plane.produced():
        follower.require_alive()
        time.sleep(0.5)
    after = follower.buckets(_FRESHNESS)
    plane.end()
    buckets = {bound: count - before.get(bound, 0.0) for bound, count in after.items()}
    return freshness(buckets, 0.5), freshness(buckets, 0.99)

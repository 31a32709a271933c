"""`make soak`: a million events through a real broker into the lake, with kills in the middle.

Producers, broker and ingest are processes of this machine. While events arrive, ingest processes
and the broker are killed with -9 and started again; the ledger must balance at the end. Then the
freshness of queries is measured at a rate that can be kept up, and the path against its stages.
"""

import argparse
import cProfile
import io
import json
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench.broker import kafka_settings, open_log, running_broker
from bench.events import make_workload
from bench.followers import Follower
from bench.soak_report import Soak, freshness, path_rows, table
from bench.whole_path import WholePath
from flywheel.errors import IntegrityError, TransientError, UnavailableError
from flywheel.eventlog.kafka_log import KafkaEventLog
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC, TOPIC_PARTITIONS
from flywheel.ingest.ledger import prove, require_balance
from flywheel.lake import Lake
from flywheel.services import Services

_ROOT = Path(__file__).parent.parent
# What is killed when so much of the whole has landed; "ingest" is the second of two processes, so
# that the first one's memory can be watched over the whole run.
_KILLS = ((0.2, "ingest"), (0.4, "broker"), (0.6, "ingest"), (0.75, "ingest"), (0.75, "broker"))
_DOWN_SECONDS = 2.0
_FRESHNESS = "flywheel_ingest_freshness_seconds"
_FRESH_SECONDS = 60
_PACE_SECONDS = 20
_PATIENCE = 60


class SoakRun:
    """One run: the broker, the group of ingest processes, and what was seen of them."""

    def __init__(self, services: Services, servers: str, home: Path, console: Console) -> None:
        self.services = services
        self.servers = servers
        self.home = home
        self.console = console
        self.log: KafkaEventLog = open_log(servers)
        self.lake = Lake(home / "lake")
        self.everyone: list[Follower] = []
        self.group: list[Follower] = []
        self._topic_id = self.log.create_topic(
            INFERENCES_TOPIC, partitions=TOPIC_PARTITIONS
        ).topic_id
        self.log.create_topic(FEEDBACK_TOPIC, partitions=TOPIC_PARTITIONS)
        raw = make_workload().model_dump(mode="json", by_alias=True)
        (home / "workloads").mkdir()
        (home / "workloads" / "bench.yaml").write_text(yaml.safe_dump(raw))

    def follow(self) -> Follower:
        """Start a member of the group."""
        name = f"ingest-{len(self.everyone) + 1}"
        follower = Follower(self.home, kafka_settings(self.servers), name=name)
        self.everyone.append(follower)
        self.group.append(follower)
        return follower

    def landed(self) -> int:
        """Count the offsets that the lake has taken."""
        return sum(
            self.lake.position("inferences", self._topic_id, number) or 0
            for number in range(TOPIC_PARTITIONS)
        )

    def produced(self) -> int:
        """Count the offsets that the log has given; the broker may just be coming back."""
        for _ in range(_PATIENCE):
            with suppress(TransientError):
                return sum(self.log.end_offsets(INFERENCES_TOPIC).values())
            time.sleep(1.0)
        return sum(self.log.end_offsets(INFERENCES_TOPIC).values())

    def kill(self, what: str) -> None:
        """Kill with -9, wait a moment, and start again."""
        self.console.print(f"kill -9 {what}")
        if what == "broker":
            self.services.kill("kafka")
            time.sleep(_DOWN_SECONDS)
            self.services.start("kafka")
        else:
            self.group.pop().kill()
            time.sleep(_DOWN_SECONDS)
            self.follow()

    def end(self) -> None:
        """End every process of the group."""
        for follower in self.group:
            follower.end()
        self.group.clear()


@contextmanager
def _producing(
    servers: str, count: int, seed: int, rate: float = 0
) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "bench.producer", servers, str(count), str(seed), str(rate)]
    process = subprocess.Popen(command, cwd=_ROOT)  # noqa: S603 - our own program
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _load(run: SoakRun, events: int, minutes: float) -> float:
    # Returns the seconds from the first event to the last that landed.
    kills = list(_KILLS)
    deadline = time.monotonic() + 60 * minutes
    for _ in range(2):
        run.follow()
    with (
        Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}"),
            TimeElapsedColumn(), console=run.console,
        ) as progress,
        _producing(run.servers, events, seed=1) as producer,
    ):  # fmt: skip
        began = time.monotonic()
        bar = progress.add_task("events landed", total=events)
        while True:
            time.sleep(1.0)
            landed = run.landed()
            progress.update(bar, completed=landed)
            for follower in run.group:
                follower.require_alive()
                follower.usage.sample()
            if kills and landed >= kills[0][0] * events:
                run.kill(kills.pop(0)[1])
            code = producer.poll()
            if code:
                raise UnavailableError("The producer failed.", next_step="read what it said above")
            if code == 0 and landed >= run.produced():
                return time.monotonic() - began
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"Only {landed:,} of {events:,} events landed in {minutes} minutes.",
                    next_step=f"read the logs in {run.home}",
                )


def _freshness(run: SoakRun, rate: float) -> tuple[float, float]:
    follower = run.follow()
    while not follower.well():
        follower.require_alive()
        time.sleep(0.5)
    # What came while producer and ingest found their pace is not counted.
    began, before = time.monotonic(), follower.buckets(_FRESHNESS)
    with _producing(run.servers, int(rate * _FRESH_SECONDS), seed=2, rate=rate) as producer:
        while producer.poll() is None:
            time.sleep(0.5)
            if time.monotonic() - began < _PACE_SECONDS:
                before = follower.buckets(_FRESHNESS)
    while run.landed() < run.produced():
        follower.require_alive()
        time.sleep(0.5)
    after = follower.buckets(_FRESHNESS)
    run.end()
    buckets = {bound: count - before.get(bound, 0.0) for bound, count in after.items()}
    return freshness(buckets, 0.5), freshness(buckets, 0.99)


def _profile(path: WholePath) -> str:
    profile = cProfile.Profile()
    profile.enable()
    path.whole(0)
    profile.disable()
    text = io.StringIO()
    pstats.Stats(profile, stream=text).strip_dirs().sort_stats("tottime").print_stats(14)
    return "\n".join(text.getvalue().splitlines()[4:])


def soak(options: argparse.Namespace, console: Console) -> Soak:
    """Run everything, and return what was measured."""
    with running_broker() as (services, servers), tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        run = SoakRun(services, servers, home, console)
        try:
            seconds = _load(run, options.events, options.minutes)
            run.end()
            ledger = prove(run.log, run.lake)
            require_balance(ledger)
            if ledger.distinct_ids != options.events or ledger.total("lag"):
                raise IntegrityError(
                    f"{options.events:,} events were made, {ledger.distinct_ids:,} are there.",
                    next_step="keep the folder and compare offsets and ids",
                )
            p50, p99 = _freshness(run, options.rate)
        finally:
            run.end()
            run.log.close()
        return Soak(
            events=options.events,
            seconds=seconds,
            landed=ledger.landed,
            duplicates=ledger.duplicates,
            kills=len(_KILLS),
            processor_seconds=sum(f.usage.processor_seconds for f in run.everyone[:-1]),
            rss=[size for _, size in run.everyone[0].usage.rss],
            freshness_rate=options.rate,
            freshness_p50=p50,
            freshness_p99=p99,
        )


def main() -> None:
    """Read the options, run, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=30.0, help="give up after so long")
    parser.add_argument("--rate", type=float, default=1_000.0, help="events/s of the freshness run")
    parser.add_argument("--path-events", type=int, default=100_000, help="for path and profile")
    parser.add_argument("--out", type=Path, help="write the figures as JSON too")
    options = parser.parse_args()
    console = Console()
    done = soak(options, console)
    console.print(table(done))
    with running_broker() as (_, servers), tempfile.TemporaryDirectory() as folder:
        path = WholePath(servers, Path(folder), options.path_events)
        taken = path.measure(3)
        console.print(path_rows(taken, options.path_events))
        console.print(_profile(path), highlight=False)
        path.close()
    if options.out:
        options.out.write_text(json.dumps({"soak": asdict(done), "path": taken}, indent=2))


if __name__ == "__main__":
    main()

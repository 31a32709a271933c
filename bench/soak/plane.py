"""What a soak runs on: brokers, an object store, ingest processes; and how each of them is killed."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from rich.console import Console

from bench.broker import kafka_settings, open_log
from bench.events import make_workload
from bench.soak.followers import ROOT, Follower, Usage
from flywheel.errors import TransientError
from flywheel.eventlog.kafka_log import KafkaEventLog
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC, TOPIC_PARTITIONS
from flywheel.io.retry import RetryPolicy, retried
from flywheel.lake import Lake
from flywheel.services import Services, start
from flywheel.settings import load_settings
from flywheel.wiring.adapters import open_lake

__all__ = ["OBJECT_STORE", "Plane", "running_plane"]

OBJECT_STORE = "object-store"
_DOWN_SECONDS = 2.0
# As long as a broker or the store that was killed may take to serve again.
_UNTIL_BACK = RetryPolicy(attempts=120, pause=1.0, longest_pause=1.0)


class Plane:
    """Services, topics, a home, the lake, and a group of ingest processes."""

    def __init__(self, services: Services, home: Path, console: Console) -> None:
        self.services = services
        self.home = home
        self.console = console
        servers = services.connections.kafka_servers
        assert servers is not None
        self.servers = servers
        self.settings = kafka_settings(servers)
        self.log: KafkaEventLog = open_log(servers)
        self.lake: Lake = open_lake(load_settings(home=home))
        self.ingest_settings: dict[str, object] = {}
        self.everyone: list[Follower] = []
        self.group: list[Follower] = []
        self._usages: dict[tuple[str, int], Usage] = {}
        self._topic_id = self.log.create_topic(
            INFERENCES_TOPIC, partitions=TOPIC_PARTITIONS
        ).topic_id
        self.log.create_topic(FEEDBACK_TOPIC, partitions=TOPIC_PARTITIONS)
        raw = make_workload().model_dump(mode="json", by_alias=True)
        # Days are compared with days: a soak's traffic spans few of them.
        raw["drift"] |= {"window_days": 1}
        (home / "workloads").mkdir()
        (home / "workloads" / "bench.yaml").write_text(yaml.safe_dump(raw))

    def follow(self) -> Follower:
        """Start a member of the group."""
        name = f"ingest-{len(self.everyone) + 1}"
        follower = Follower(self.home, self.settings | self.ingest_settings, name=name)
        self.everyone.append(follower)
        self.group.append(follower)
        return follower

    def landed(self) -> int:
        """Count the offsets that the lake has taken; its store may just be coming back."""
        return retried(
            lambda: sum(
                self.lake.position("inferences", self._topic_id, number) or 0
                for number in range(TOPIC_PARTITIONS)
            ),
            _UNTIL_BACK,
            TransientError,
        )

    def produced(self) -> int:
        """Count the offsets that the log has given; a broker may just be coming back."""
        return retried(
            lambda: sum(self.log.end_offsets(INFERENCES_TOPIC).values()),
            _UNTIL_BACK,
            TransientError,
        )

    def kill(self, what: str) -> None:
        """Kill with -9, wait a moment, and start again: a service by its name, or ``ingest``."""
        self.sample()
        self.console.print(f"kill -9 {what}")
        if what == "ingest":
            self.group.pop().kill()
            time.sleep(_DOWN_SECONDS)
            self.follow()
        else:
            self.services.kill(what)
            time.sleep(_DOWN_SECONDS)
            self.services.start(what)

    def sample(self) -> None:
        """Look at memory and processor time of every process, and that ingest still runs."""
        for follower in self.group:
            follower.require_alive()
            follower.usage.sample()
        for name, state in self.services.states().items():
            if state.pid is not None:
                key = (name, state.pid)
                if key not in self._usages:
                    self._usages[key] = Usage(state.pid)
                self._usages[key].sample()

    def processor_seconds(self) -> dict[str, float]:
        """Return the processor seconds of each service and of ingest, all their processes added."""
        seconds = {"ingest": sum(follower.usage.processor_seconds for follower in self.everyone)}
        for (name, _), usage in self._usages.items():
            seconds[name] = seconds.get(name, 0.0) + usage.processor_seconds
        return seconds

    def peak(self, name: str) -> int:
        """Return the most bytes of memory that one process of a service was seen with."""
        sizes = [u.rss for (one, _), u in self._usages.items() if one == name]
        return max((size for seen in sizes for _, size in seen), default=0)

    def disk(self) -> dict[str, int]:
        """Return the bytes that each service's data and the home take."""
        folders = {name: self.services.folder / name for name in self.services.names}
        return {
            name: sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())
            for name, folder in (folders | {"home": self.home}).items()
        }

    @contextmanager
    def producing(self, **options: float) -> Iterator[subprocess.Popen[bytes]]:
        """Run a producer; see `bench.soak.producer` for its options."""
        given = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        command = [sys.executable, "-m", "bench.soak.producer", self.servers, *given]
        process = subprocess.Popen(command, cwd=ROOT)  # noqa: S603 - our own program
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def end(self) -> None:
        """End every process of the group."""
        for follower in self.group:
            follower.end()
        self.group.clear()

    def close(self) -> None:
        """End the group and leave the services."""
        self.end()
        self.log.close()
        self.lake.close()


@contextmanager
def running_plane(
    brokers: int, compression: str, home: Path, console: Console, *, on_disk: bool
) -> Iterator[Plane]:
    """Start everything in an ephemeral set; yield it, and remove it with its data.

    Args:
        brokers: of the Kafka cluster; three hold each record three times and ask for two copies.
        compression: of the brokers' files: ``zstd``, ``gzip``, or ``producer`` for none.
        home: an empty folder.
        console: told what is killed.
        on_disk: keep the lake in the home and start no object store.
    """
    names = ["kafka"] if on_disk else ["kafka", OBJECT_STORE]
    with start(
        load_settings(profile="embedded"),
        names,
        ephemeral=True,
        brokers=brokers,
        kafka_properties={"compression.type": compression},
    ) as services:
        before = dict(os.environ)
        if not on_disk:
            # Inherited by every process of the soak.
            os.environ.update(services.object_store_environment)
        plane = Plane(services, home, console)
        try:
            yield plane
        finally:
            plane.close()
            os.environ.clear()
            os.environ.update(before)

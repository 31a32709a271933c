"""The loop of a long-lived consumer: gathering, failing and going on, ending."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from flywheel.errors import ConfigurationError, LogGapError, UnavailableError
from flywheel.events import INFERENCES_TOPIC
from flywheel.ingest import IngestConsumer
from flywheel.ingest.health import Health
from flywheel.ingest.metrics import IngestMetrics
from flywheel.ingest.service import IngestService
from flywheel.workload.folder import WorkloadProblem
from tests.fakes.event_makers import make_workload

NOT_LOADED = "flywheel_ingest_workload_files_not_loaded"


@dataclass
class Follower:
    """A service over a test's data plane, in the test's own thread."""

    plane: Any
    lines: list[dict[str, Any]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    health: Health = field(default_factory=Health)
    on_line: Callable[[dict[str, Any]], None] = lambda _: None

    def say(self, happened: str, **figures: Any) -> None:
        """Keep a log line, and let the test act on it."""
        self.lines.append({"event": happened} | figures)
        self.on_line(self.lines[-1])

    def named(self, *names: str) -> list[dict[str, Any]]:
        """Return the log lines of these names."""
        return [line for line in self.lines if line["event"] in names]

    def run(self, **changes: Any):
        """Run until the test sets `stop`."""
        options: dict[str, Any] = {
            "open_ingest": self.plane.ingest,
            "workloads": lambda: [self.plane.workload],
            "linger_seconds": 0.05,
            "metrics": IngestMetrics(),
        }
        return IngestService(
            **options | changes,
            stop=self.stop,
            say=self.say,
            health=self.health,
        ).run()


@pytest.fixture
def follower(plane):
    """Return a service that has not begun."""
    return Follower(plane)


def test_it_lands_what_arrives_and_stops_when_told(follower):
    """It goes on over batches, and its report is of the whole time."""
    follower.plane.produce(*range(5))

    def arrive(line):
        if len(follower.named("landed")) == 2:
            follower.stop.set()
        elif line["event"] == "landed":
            follower.plane.produce(*range(5, 12))

    follower.on_line = arrive
    report = follower.run()
    assert [line["read"] for line in follower.named("landed")] == [5, 7]
    assert (report.read, report.commits, report.lag) == (12, 2, 0)
    assert follower.lines[-1]["event"] == "left"
    assert follower.health.problem() is None


def test_what_was_read_lands_before_it_ends(follower, monkeypatch):
    """A stop in the middle of a gathering does not wait for the linger to end, and loses nothing."""
    follower.plane.produce(*range(5))
    ingest = follower.plane.ingest()
    real = ingest.gather

    def gather(*arguments: Any, **options: Any) -> int:
        came = real(*arguments, **options)
        if came:
            follower.stop.set()
        return came

    monkeypatch.setattr(ingest, "gather", gather)
    report = follower.run(open_ingest=lambda: ingest, linger_seconds=300.0)
    assert (report.read, report.lag) == (5, 0)
    assert follower.plane.prove().landed == 5


def test_a_full_batch_does_not_linger(follower):
    """A fast stream is committed batch by batch."""
    follower.plane.produce(*range(20))
    follower.on_line = lambda _: len(follower.named("landed")) == 2 and follower.stop.set()
    follower.run(linger_seconds=300.0, batch_records=10)
    assert [line["read"] for line in follower.named("landed")] == [10, 10]


def test_a_transient_failure_is_told_and_tried_again(follower):
    """A log that is away when the process starts may come later; it joins then."""
    follower.plane.produce(*range(5))
    attempts: list[int] = []

    def open_ingest() -> IngestConsumer:
        attempts.append(1)
        if len(attempts) < 4:
            raise UnavailableError("the broker is away")
        return follower.plane.ingest()

    problems = []

    def listen(line: dict[str, Any]) -> None:
        problems.append(follower.health.problem())
        if line["event"] == "landed":
            follower.stop.set()

    follower.on_line = listen
    follower.run(open_ingest=open_ingest)
    failed = follower.named("failed")
    assert [line["failures"] for line in failed] == [1, 2, 3]
    waits = [line["again_in_seconds"] for line in failed]
    assert waits == sorted(waits)
    assert "the broker is away" in problems[2]
    assert follower.health.problem() is None
    assert follower.plane.prove().landed == 5


def test_failures_that_do_not_end_make_it_join_again(follower, monkeypatch):
    """A consumer that got into a state it cannot leave is replaced; nothing lands twice."""
    follower.plane.produce(*range(5))
    monkeypatch.setattr("flywheel.ingest.service._FIRST_BACKOFF_SECONDS", 0.0)
    broken = follower.plane.ingest()

    def refuse(*_: Any, **__: Any) -> int:
        raise UnavailableError("fenced")

    monkeypatch.setattr(broken, "gather", refuse)
    members = [broken]
    follower.on_line = lambda line: line["event"] == "landed" and follower.stop.set()
    follower.run(open_ingest=lambda: members.pop() if members else follower.plane.ingest())
    assert len(follower.named("failed")) == 5
    assert len(follower.named("joined")) == 2
    assert follower.plane.prove().landed == 5


def test_a_lost_race_is_counted_and_read_again(follower):
    """Another process that lands first costs a try, never a row."""
    follower.plane.produce(*range(8))
    ingest, rival = follower.plane.ingest(), follower.plane.ingest(group="another")
    ingest.gather(0.0)
    rival.run_once(3)
    follower.on_line = lambda line: line["event"] == "landed" and follower.stop.set()
    report = follower.run(open_ingest=lambda: ingest)
    assert report.lost_races == 1
    assert follower.plane.prove().landed == 8


def test_lost_records_end_it(follower):
    """No later try can be better: the error reaches whoever started the process."""
    follower.plane.produce(*range(10))
    for partition in follower.plane.log.end_offsets(INFERENCES_TOPIC):
        follower.plane.log.delete_before(partition, 2)
    with pytest.raises(LogGapError):
        follower.run()
    assert follower.lines[-1]["event"] == "left"


def test_workload_files_are_read_again(follower):
    """A workload that is added while it runs is taken; a broken file is told and changes nothing."""
    added = make_workload(id="added")
    answers: list[Any] = [ConfigurationError("no such field"), [follower.plane.workload, added]]

    def workloads() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    service_look = "flywheel.ingest.service._LOOK_SECONDS"
    follower.plane.produce(1)

    def listen(line: dict[str, Any]) -> None:
        if len(follower.named("landed")) == 2:
            follower.stop.set()
        elif line["event"] == "landed":
            follower.plane.produce(2, workload_id="added")

    follower.on_line = listen
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service_look, 0.0)
        report = follower.run(workloads=lambda: workloads() if answers else [added])
    assert len(follower.named("workloads_not_read")) == 1
    assert dict(report.landed) == {"reports": 1, "added": 1}


def test_workload_files_that_do_not_load_are_a_figure(follower):
    """A scraper sees how many there are now, and 0 once they are mended."""
    problem = WorkloadProblem("broken", Path("broken.yaml"), ConfigurationError("no such field"))
    answers = [{"broken": problem}, {}]
    metrics, shown = IngestMetrics(), []

    def problems() -> Any:
        return answers.pop(0) if answers else {}

    real = metrics.lagging

    def lagging(lags: Any) -> None:
        shown.append(metrics.registry.get_sample_value(NOT_LOADED))
        if len(shown) == 2:
            follower.stop.set()
        real(lags)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flywheel.ingest.service._LOOK_SECONDS", 0.0)
        patch.setattr(metrics, "lagging", lagging)
        follower.run(problems=problems, metrics=metrics)
    assert shown == [1, 0]

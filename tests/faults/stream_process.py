"""What the stream tests run in processes of their own: `python stream_process.py JOB OPTIONS`.

``OPTIONS`` is one JSON object. A process writes JSON lines about what it does. At one of its steps
it can be told to ``kill`` itself, to ``stop`` (until SIGCONT) or to ``hold`` (until a line comes in).
"""

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flywheel.clock import SystemClock
from flywheel.errors import TransientError
from flywheel.eventlog.kafka_connection import KafkaConnection
from flywheel.eventlog.kafka_log import KafkaEventLog
from flywheel.ingest import IngestConsumer
from flywheel.ingest.health import Health
from flywheel.ingest.log_lines import json_lines
from flywheel.ingest.metrics import IngestMetrics
from flywheel.ingest.service import IngestService
from flywheel.lake import Lake
from tests.fakes.event_makers import make_workload
from tests.fakes.stream_world import batch_of

_SAY = json_lines(sys.stdout, SystemClock())


def _steps(at: str = "", times: int = 1, action: str = "kill") -> Callable[[str], None]:
    seen: Counter[str] = Counter()

    def reached(step: str) -> None:
        seen[step] += 1
        if step != at or seen[step] != times:
            return
        _SAY(action, step=step)
        if action == "hold":
            sys.stdin.readline()
        else:
            os.kill(os.getpid(), signal.SIGKILL if action == "kill" else signal.SIGSTOP)

    return reached


def produce(log: KafkaEventLog, options: dict[str, Any]) -> None:
    """Append numbered events in batches, each again until it is confirmed.

    The number of the last confirmed event is kept in a file, from which a second process goes on.
    """
    workload, reached = make_workload(), _steps(**options.get("step", {}))
    mark = Path(options["home"]) / f"confirmed-{options['first']}"
    last = options["first"] + options["count"]
    start = int(mark.read_text()) if mark.exists() else options["first"]
    while start < last:
        numbers = range(start, min(last, start + options["batch"]))
        try:
            for topic, records in batch_of(numbers, workload).items():
                log.append(topic, records)
        except TransientError as error:
            _SAY("failed", message=error.message)
            continue
        reached("appended")
        start = numbers.stop
        mark.write_text(str(start))
        _SAY("confirmed", next=start)
        time.sleep(options.get("pause", 0.0))  # an application's own pace


def consume(log: KafkaEventLog, options: dict[str, Any]) -> None:
    """Land what arrives, as `flywheel ingest --follow` does, until SIGTERM."""
    stop, clock, lake = threading.Event(), SystemClock(), Lake(Path(options["home"]) / "lake")
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    reached = _steps(**options.get("step", {}))

    def join() -> IngestConsumer:
        return IngestConsumer(
            log, lake, [make_workload()], clock, group=options["group"], on_step=reached
        )

    service = IngestService(
        join,
        workloads=lambda: [make_workload()],
        stop=stop,
        say=_SAY,
        metrics=IngestMetrics(),
        health=Health(),
        linger_seconds=options.get("linger", 0.1),
        batch_records=options.get("batch", 200),
    )
    _SAY("report", **service.run().figures())


if __name__ == "__main__":
    given = json.loads(sys.argv[2])
    opened = KafkaEventLog(KafkaConnection(given["servers"], **given.get("connection", {})))
    try:
        {"produce": produce, "consume": consume}[sys.argv[1]](opened, given)
    finally:
        opened.close()

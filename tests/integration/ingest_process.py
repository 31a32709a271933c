"""Program that tests start: ingest from a log into a lake, killed after a given step.

Arguments: home, name of a step ("" for none), how often the step must have come, maximum; and where
the lake is not in the home, its URL.
"""

import os
import signal
import sys
from collections import Counter
from pathlib import Path

from flywheel.clock import SystemClock
from flywheel.eventlog.sqlite_log import SqliteEventLog
from flywheel.ingest import IngestConsumer
from flywheel.lake import Lake
from tests.fakes.event_makers import make_workload


def main() -> None:
    """Ingest what is there, or die on the way."""
    home, step, times, maximum = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    seen: Counter[str] = Counter()

    def die(name: str) -> None:
        seen[name] += 1
        if name == step and seen[name] == times:
            os.kill(os.getpid(), signal.SIGKILL)

    clock = SystemClock()
    log = SqliteEventLog(home / "log.db", clock)
    lake = Lake(sys.argv[5] if sys.argv[5:] else home / "lake", local=home / "lake")
    ingest = IngestConsumer(log, lake, [make_workload()], clock, on_step=die)
    while ingest.run_once(maximum).lag:
        pass
    ingest.close()


if __name__ == "__main__":
    main()

"""Program that tests start: append numbered events to a log, some of them broken.

Arguments: home, first number, count.
"""

import sys
from pathlib import Path

from flywheel.clock import SystemClock
from flywheel.eventlog.sqlite_log import SqliteEventLog
from flywheel.events import INFERENCES_TOPIC
from tests.fakes.event_makers import keyed, make_event, make_workload


def main() -> None:
    """Append in small batches, so that producers come between each other."""
    home, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    workload = make_workload()
    log = SqliteEventLog(home / "log.db", SystemClock())
    log.create_topic(INFERENCES_TOPIC, partitions=4)
    for start in range(first, first + count, 10):
        batch = [keyed(make_event(number, workload)) for number in range(start, start + 10)]
        log.append(INFERENCES_TOPIC, [*batch, (b"broken", b"{")])
    log.close()


if __name__ == "__main__":
    main()

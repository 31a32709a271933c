"""Program that the soak starts: append events through the real client, whatever the broker does.

Arguments: servers, count, seed, events per second (0: as fast as it can).
"""

import sys

from bench.broker import append_events, open_log
from bench.events import make_workload


def main() -> None:
    """Append and end."""
    servers, count, seed, rate = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    log = open_log(servers)
    append_events(log, make_workload(), count, seed=seed, per_second=rate or None)
    log.close()


if __name__ == "__main__":
    main()

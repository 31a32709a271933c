"""Program that the soak starts: append events through the real client, whatever the brokers do."""

import argparse

from bench.broker import append_events, open_log
from bench.events import make_workload
from bench.soak.traffic import Traffic


def main() -> None:
    """Append and end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("servers")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--days", type=int, default=0, help="0: all of them are of this moment")
    parser.add_argument("--broken-every", type=int, default=0, help="0: none")
    parser.add_argument("--rate", type=float, default=0, help="events/s; 0: as fast as it can")
    options = parser.parse_args()
    log = open_log(options.servers)
    append_events(
        log,
        make_workload(),
        options.count,
        seed=options.seed,
        per_second=options.rate or None,
        traffic=Traffic(options.count, options.days, options.broken_every),
    )
    log.close()


if __name__ == "__main__":
    main()

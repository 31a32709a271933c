"""`make soak`: many events through three brokers into a lake in an object store, with kills.

Producers, brokers, store and ingest are processes of this machine. While events arrive, ingest
processes, brokers and the store are killed with -9 and started again; the ledger must balance at
the end. Then the daily work is done on what landed, the freshness of rows is measured at a rate
that can be kept up, and the path against its stages. Each part's figures are in --out as soon as
it is done.
"""

import argparse
import cProfile
import io
import json
import pstats
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.broker import running_broker
from bench.soak.daily import STEPS, Work, work
from bench.soak.plane import running_plane
from bench.soak.report import fresh_row, ledger_table, load_table, path_rows, work_table
from bench.soak.run import LoadOptions, kills, measure_freshness, prove_load, run_load
from bench.whole_path import WholePath
from flywheel.errors import UnavailableError
from flywheel.io.atomic import write_text


class Report:
    """The figures so far, in a file that is complete after every part."""

    def __init__(self, out: Path | None) -> None:
        self._out = out
        self._figures: dict[str, Any] = {}

    def add(self, part: str, figures: object) -> None:
        """Keep the figures of a part."""
        self._figures[part] = figures
        if self._out is not None:
            write_text(self._out, json.dumps(self._figures, indent=2))


def soak(options: argparse.Namespace, console: Console, report: Report) -> None:
    """Run the load, prove it, and do the daily work on it."""
    load_options = LoadOptions(
        options.events, options.days, options.broken_every, options.producers,
        options.processes, options.linger, options.minutes,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="flywheel-soak-") as folder:
        home = Path(folder) / "home"
        home.mkdir()
        with running_plane(
            options.brokers, options.compression, home, console, on_disk=options.disk
        ) as plane:
            load = run_load(plane, load_options, kills(options.brokers, on_disk=options.disk))
            report.add("load", asdict(load))
            console.print(load_table(load))
            ledger = prove_load(plane, load_options)
            report.add("ledger", ledger)
            console.print(ledger_table(ledger))
            done, failures = list[Work](), list[UnavailableError]()
            for step in () if options.no_daily else STEPS:
                console.print(f"daily work: {step}")
                try:
                    done.append(work(step, home, plane.settings))
                except UnavailableError as error:
                    console.print(str(error), markup=False)
                    failures.append(error)
                report.add("daily", [asdict(each) for each in done])
            if done:
                console.print(work_table(done, options.events, options.days))
            if options.rate:
                p50, p99 = measure_freshness(plane, options.rate)
                report.add("freshness", {"rate": options.rate, "p50": p50, "p99": p99})
                console.print(fresh_row(options.rate, p50, p99))
    if failures:
        raise failures[0]


def path(events: int, console: Console, report: Report) -> None:
    """Compare the whole path with its stages in one process."""
    with running_broker() as (_, servers), tempfile.TemporaryDirectory() as folder:
        whole = WholePath(servers, Path(folder), events)
        taken = whole.measure(3)
        report.add("path", taken)
        console.print(path_rows(taken, events))
        profile = cProfile.Profile()
        profile.enable()
        whole.whole(0)
        profile.disable()
        text = io.StringIO()
        pstats.Stats(profile, stream=text).strip_dirs().sort_stats("tottime").print_stats(14)
        console.print("\n".join(text.getvalue().splitlines()[4:]), highlight=False)
        whole.close()


def options_from(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--events", type=int, default=1_000_000)
    add("--days", type=int, default=10, help="whole days before today that the events are of")
    add("--broken-every", type=int, default=1_000, help="one of so many is a dead letter; 0: none")
    add("--brokers", type=int, default=3, help="three keep each record three times")
    add(
        "--compression",
        choices=("zstd", "gzip", "producer"),
        default="zstd",
        help="of the brokers' files, 1.7 KB an event and broker without any (producer)",
    )
    add("--producers", type=int, default=2, help="processes that send")
    add("--processes", type=int, default=4, help="processes of the ingest group")
    add(
        "--linger", type=float, default=15.0,
        help="seconds in which records gather for a commit of the load; freshness: as set",
    )  # fmt: skip
    add("--disk", action="store_true", help="keep the lake on the disk, without an object store")
    add("--minutes", type=float, default=40.0, help="give up the load after so long")
    add("--no-daily", action="store_true", help="leave out profile, drift, sample and verify")
    add("--rate", type=float, default=1_000.0, help="events/s of the freshness run; 0: none")
    add("--path-events", type=int, default=100_000, help="for path and profile; 0: none")
    add("--out", type=Path, help="write the figures as JSON, part by part")
    return parser.parse_args(arguments)


def main() -> None:
    """Read the options, run, and tell."""
    options, console = options_from(), Console()
    # As Ctrl-C does: what was started is ended.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    report = Report(options.out)
    soak(options, console, report)
    if options.path_events:
        path(options.path_events, console, report)


if __name__ == "__main__":
    main()

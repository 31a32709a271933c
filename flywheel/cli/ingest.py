"""`flywheel ingest`: move events from the log into the lake."""

import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.usecases.landing import follow_log, land
from flywheel.wiring import Platform, open_platform

if TYPE_CHECKING:
    from flywheel.ingest.report import IngestReport

__all__ = ["app"]

app = typer.Typer()
_console = Console()


@app.command()
def ingest(
    maximum: int = typer.Option(1_000_000, min=1, help="most records to read"),
    follow: bool = typer.Option(
        False, "--follow", help="run until SIGTERM or Ctrl-C; log lines go to stderr"
    ),
    json_output: JsonOption = False,
) -> None:
    """Land what the log holds; with --follow, also what arrives."""
    # As a service it may be started before anything is there.
    platform = open_platform(existing=not follow)
    report = _follow(platform) if follow else land(platform, maximum=maximum)
    if json_output:
        print_facts(report.figures())
    else:
        _console.print(_table(report))


def _follow(platform: Platform) -> "IngestReport":
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    return follow_log(platform, stop=stop, lines=sys.stderr)


def _table(report: "IngestReport") -> Table:
    seconds = report.decode_seconds + report.commit_seconds
    table = Table(title=f"{report.read:,} records in {seconds:.2f} s · {report.lag:,} to go")
    for column in ("what", "which", "count"):
        table.add_column(column)
    groups: dict[str, Any] = {
        "landed": report.landed,
        "feedback": report.feedback,
        "dead letters": report.dead_letters,
    }
    for group, counts in groups.items():
        for which, count in sorted(counts.items()):
            table.add_row(group, Text(which), f"{count:,}")
    return table

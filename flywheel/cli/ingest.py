"""`flywheel ingest`: move events from the log into the lake."""

import json
import signal
import threading
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flywheel.wiring import open_platform

if TYPE_CHECKING:
    from flywheel.ingest.consume import Ingest
    from flywheel.ingest.report import IngestReport

__all__ = ["app"]

app = typer.Typer()
_console = Console()


@app.command()
def ingest(
    maximum: int = typer.Option(1_000_000, min=1, help="most records to read"),
    follow: bool = typer.Option(False, "--follow", help="go on until stopped"),
    json_output: bool = typer.Option(False, "--json", help="for machines"),
) -> None:
    """Land what the log holds; with --follow, also what arrives."""
    from flywheel.ingest.consume import Ingest  # noqa: PLC0415 - commands load what they use

    platform = open_platform()
    consumer = Ingest(
        platform.log, platform.lake, list(platform.workloads.values()), platform.clock
    )
    try:
        report = _follow(consumer) if follow else consumer.run_once(maximum)
    finally:
        consumer.close()
    if json_output:
        typer.echo(json.dumps(report.figures()))
    else:
        _console.print(_table(report))


def _follow(consumer: "Ingest") -> "IngestReport":
    from flywheel.ingest.report import IngestReport  # noqa: PLC0415 - (as above)

    # A signal ends the loop between two batches: what was read has then landed.
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    total = IngestReport()
    with _console.status("waiting for events") as status:

        def show(report: IngestReport) -> None:
            total.add(report)
            seconds = report.decode_seconds + report.commit_seconds
            status.update(
                f"{total.read:,} read · {sum(total.dead_letters.values()):,} dead letters · "
                f"{report.lag:,} to go · last batch {report.read:,} in {seconds:.2f} s"
            )

        consumer.follow(stop=stop.is_set, on_report=show)
    return total


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
    for what, counts in groups.items():
        for which, count in sorted(counts.items()):
            table.add_row(what, Text(which), f"{count:,}")
    return table

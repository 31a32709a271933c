"""`flywheel ingest`: move events from the log into the lake."""

import json
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.wiring import Platform, open_platform

if TYPE_CHECKING:
    from flywheel.ingest.consume import Ingest
    from flywheel.ingest.report import IngestReport

__all__ = ["app"]

app = typer.Typer()
_console = Console()


@app.command()
def ingest(
    maximum: int = typer.Option(1_000_000, min=1, help="most records to read"),
    follow: bool = typer.Option(
        False, "--follow", help="go on until SIGTERM or Ctrl-C; log lines go to stderr"
    ),
    json_output: bool = typer.Option(False, "--json", help="for machines"),
) -> None:
    """Land what the log holds; with --follow, also what arrives."""
    # As a service it may be started before anything is there.
    platform = open_platform(existing=not follow)
    report = _follow(platform) if follow else _once(platform, maximum)
    if json_output:
        typer.echo(json.dumps(report.figures()))
    else:
        _console.print(_table(report))


def _open(platform: Platform) -> "Ingest":
    from flywheel.ingest.consume import Ingest

    folder = platform.workload_folder
    return Ingest(
        platform.log,
        platform.lake,
        list(folder.workloads.values()),
        platform.clock,
        not_loaded=folder.problems.keys(),
    )


def _once(platform: Platform, maximum: int) -> "IngestReport":
    consumer = _open(platform)
    try:
        return consumer.run_once(maximum)
    finally:
        consumer.close()


def _follow(platform: Platform) -> "IngestReport":
    from flywheel.ingest.endpoint import serving
    from flywheel.ingest.health import Health
    from flywheel.ingest.log_lines import json_lines
    from flywheel.ingest.metrics import IngestMetrics
    from flywheel.ingest.service import IngestService

    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    settings, say = platform.settings, json_lines(sys.stderr, platform.clock)
    metrics, health = IngestMetrics(), Health()
    service = IngestService(
        lambda: _open(platform),
        workloads=lambda: list(platform.workloads.values()),
        problems=lambda: platform.workload_folder.problems,
        stop=stop,
        say=say,
        metrics=metrics,
        health=health,
        linger_seconds=settings.ingest_linger_seconds,
    )
    with serving(
        settings.metrics_port,
        complaint=health.complaint,
        registry=metrics.registry,
        host=settings.metrics_host,
    ) as port:
        say("serving", port=port, linger_seconds=settings.ingest_linger_seconds)
        return service.run()


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

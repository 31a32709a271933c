"""`flywheel dataset`: look at a cycle's snapshot, and find where a row went."""

import json
from collections.abc import Sequence

import typer
from rich.table import Table
from rich.text import Text

from flywheel.artifacts.snapshot import SPLITS, Snapshot
from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.usecases.datasets import list_snapshots, show_snapshot, snapshots_with
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer(help="Look at dataset snapshots and where rows went.")
_console = Console()
_WORKLOAD = typer.Argument(help="id of the workload")


@app.command()
def show(
    workload_id: str = _WORKLOAD,
    snapshot: str = typer.Argument("", help="hash, or its beginning; default: list them all"),
    rows: int = typer.Option(0, min=0, help="show this many rows of every split"),
    json_output: JsonOption = False,
) -> None:
    """Show a snapshot, every file checked against its manifest; without a hash, list them."""
    platform = open_platform(existing=True)
    if not snapshot:
        _list(list_snapshots(platform, workload_id), as_json=json_output)
        return
    verified = show_snapshot(platform, workload_id, snapshot)
    checked = verified.snapshot
    if json_output:
        print_facts(verified.manifest | {"folder": str(checked.folder)})
        return
    _console.print(Text(f"{checked.folder}\nhash verified, cycle {checked.cycle}"))
    table = Table("split", "rows")
    for split in SPLITS:
        table.add_row(split, str(checked.counts.get(split, 0)))
    for reason, count in checked.exclusions.items():
        table.add_row(f"left out: {reason}", str(count))
    for reason, count in checked.preference.get("exclusions", {}).items():
        table.add_row(f"no pair: {reason}", str(count))
    _console.print(table)
    for split in SPLITS:
        for row in verified.rows(split)[:rows]:
            _console.print(Text(f"{split}: {json.dumps(row, ensure_ascii=True)}"))


@app.command()
def where(
    workload_id: str = _WORKLOAD,
    inference: str | None = typer.Option(None, help="inference id"),
    subject: str | None = typer.Option(None, help="subject id"),
    json_output: JsonOption = False,
) -> None:
    """Tell which snapshots saw an inference or a subject."""
    if (inference is None) == (subject is None):
        raise typer.BadParameter("give either --inference or --subject")
    memberships = snapshots_with(
        open_platform(existing=True), workload_id, inference_id=inference, subject_id=subject
    )
    if json_output:
        print_facts(list(memberships))
        return
    table = Table()
    for column in ("snapshot", "cycle", "split", "inference", "reason"):
        table.add_column(column, overflow="fold")
    for row in memberships:
        cells = (row.snapshot[:12], row.cycle, row.split, row.inference_id, row.reason or "")
        table.add_row(*(Text(cell) for cell in cells))
    _console.print(table)


def _list(snapshots: Sequence[Snapshot], *, as_json: bool) -> None:
    if as_json:
        listed = [
            {"snapshot": one.hash, "cycle": one.cycle, "counts": dict(one.counts)}
            for one in snapshots
        ]
        print_facts(listed)
        return
    table = Table()
    for column in ("snapshot", "cycle"):
        table.add_column(column, no_wrap=True)
    for split in SPLITS:
        table.add_column(split.replace("_", " "))
    for snapshot in snapshots:
        counts = [str(snapshot.counts.get(split, 0)) for split in SPLITS]
        table.add_row(snapshot.hash[:12], snapshot.cycle, *counts)
    _console.print(table)

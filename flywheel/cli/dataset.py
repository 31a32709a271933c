"""`flywheel dataset`: look at a cycle's snapshot, and find where a row went."""

import json
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.errors import NotFoundError
from flywheel.wiring import Platform, open_platform

__all__ = ["app"]

app = typer.Typer(help="Look at dataset snapshots and where rows went.")
_console = Console()
_WORKLOAD = typer.Argument(help="id of the workload")


@app.command()
def show(
    workload_id: str = _WORKLOAD,
    snapshot: str = typer.Argument("", help="hash, or its beginning; default: list them all"),
    rows: int = typer.Option(0, min=0, help="show this many rows of every split"),
    json_output: bool = typer.Option(False, "--json", help="for machines"),
) -> None:
    """Show a snapshot, every file checked against its manifest; without a hash, list them."""
    from flywheel.artifacts.snapshot import SPLITS, read_rows, verify_snapshot

    platform = open_platform(existing=True)
    platform.workload(workload_id)
    folders = _folders(platform, workload_id)
    if not snapshot:
        _list(folders)
        return
    found = [folder for folder in folders if folder.name.startswith(snapshot)]
    if len(found) != 1:
        raise NotFoundError(
            f"{len(found)} snapshots of {workload_id} begin with {snapshot!r}.",
            next_step=f"list them with `flywheel dataset show {workload_id}`",
        )
    checked = verify_snapshot(found[0])
    manifest = json.loads((found[0] / "manifest.json").read_text(encoding="utf-8"))
    if json_output:
        typer.echo(json.dumps(manifest | {"folder": str(checked.folder)}))
        return
    _console.print(Text(f"{checked.folder}\nhash verified, cycle {checked.cycle}"))
    table = Table("split", "rows")
    for split in SPLITS:
        table.add_row(split, str(checked.counts[split]))
    for reason, count in checked.exclusions.items():
        table.add_row(f"left out: {reason}", str(count))
    for reason, count in checked.preference.get("exclusions", {}).items():
        table.add_row(f"no pair: {reason}", str(count))
    _console.print(table)
    for split in SPLITS:
        for row in read_rows(found[0], split)[:rows]:
            _console.print(Text(f"{split}: {json.dumps(row, ensure_ascii=True)}"))


@app.command()
def where(
    workload_id: str = _WORKLOAD,
    inference: str | None = typer.Option(None, help="inference id"),
    subject: str | None = typer.Option(None, help="subject id"),
    json_output: JsonOption = False,
) -> None:
    """Tell which snapshots saw an inference or a subject."""
    from flywheel.dataset.lineage import (
        snapshots_with_inference,
        snapshots_with_subject,
    )

    if (inference is None) == (subject is None):
        raise typer.BadParameter("give either --inference or --subject")
    lake = open_platform(existing=True).lake
    if inference is not None:
        found = snapshots_with_inference(lake, workload_id, inference)
    else:
        found = snapshots_with_subject(lake, workload_id, str(subject))
    if json_output:
        print_facts(list(found))
        return
    table = Table()
    for column in ("snapshot", "cycle", "split", "inference", "reason"):
        table.add_column(column, overflow="fold")
    for row in found:
        cells = (row.snapshot[:12], row.cycle, row.split, row.inference_id, row.reason or "")
        table.add_row(*(Text(cell) for cell in cells))
    _console.print(table)


def _folders(platform: Platform, workload_id: str) -> list[Path]:
    folder = platform.home / "datasets" / workload_id
    return sorted(path.parent for path in folder.glob("[0-9a-f]*/manifest.json"))


def _list(folders: list[Path]) -> None:
    from flywheel.artifacts.snapshot import SPLITS, open_snapshot

    table = Table()
    for column in ("snapshot", "cycle"):
        table.add_column(column, no_wrap=True)
    for split in SPLITS:
        table.add_column(split.replace("_", " "))
    for folder in folders:
        snapshot = open_snapshot(folder)
        counts = [str(snapshot.counts[split]) for split in SPLITS]
        table.add_row(snapshot.hash[:12], snapshot.cycle, *counts)
    _console.print(table)

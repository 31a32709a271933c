"""`flywheel taxonomy rename | merge | split | retire`: edits that keep every judgment."""

from collections.abc import Callable, Sequence

import typer
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.io.spelling import show_controls
from flywheel.usecases.taxonomy import TaxonomyPreview
from flywheel.usecases.taxonomy_edit import apply_edit, plan_edit
from flywheel.wiring import open_platform
from flywheel.workload.taxonomy import Taxonomy
from flywheel.workload.taxonomy_edits import (
    merge_labels,
    rename_label,
    retire_labels,
    split_label,
)
from flywheel.workload.taxonomy_losses import TaxonomyLoss

__all__ = ["register"]

_console = Console()
_WORKLOAD = typer.Argument(metavar="WORKLOAD")
_YES = typer.Option(False, "--yes", help="do not ask")
_DRY_RUN = typer.Option(False, "--dry-run", help="show what it does, and change nothing")


def register(app: typer.Typer) -> None:
    """Add the commands to ``flywheel taxonomy``."""
    for command in (rename, merge, split, retire):
        app.command()(command)


def rename(
    workload_id: str = _WORKLOAD,
    old: str = typer.Argument(metavar="OLD", help="name of the label, or its id"),
    new: str = typer.Argument(metavar="NEW"),
    yes: bool = _YES,
    dry_run: bool = _DRY_RUN,
) -> None:
    """Rename a label; judgments under the former name keep counting."""
    _change(workload_id, [old], lambda t: rename_label(t, old, new), yes=yes, dry_run=dry_run)


def merge(
    workload_id: str = _WORKLOAD,
    names: list[str] = typer.Argument(metavar="NAME…", help="labels that go"),
    into: str = typer.Option(..., help="the label that takes over"),
    yes: bool = _YES,
    dry_run: bool = _DRY_RUN,
) -> None:
    """Let one label take over from others; their judgments count for it."""
    _change(
        workload_id,
        [*names, into],
        lambda t: merge_labels(t, names, into),
        yes=yes,
        dry_run=dry_run,
    )


def split(
    workload_id: str = _WORKLOAD,
    name: str = typer.Argument(metavar="NAME", help="the label that goes"),
    into: list[str] = typer.Option(..., help="labels that it becomes; new ones are added"),
    yes: bool = _YES,
    dry_run: bool = _DRY_RUN,
) -> None:
    """Retire a label whose cases people divide between others; its judgments are set aside."""
    _change(workload_id, [name], lambda t: split_label(t, name, into), yes=yes, dry_run=dry_run)


def retire(
    workload_id: str = _WORKLOAD,
    names: list[str] = typer.Argument(metavar="NAME…"),
    yes: bool = _YES,
    dry_run: bool = _DRY_RUN,
) -> None:
    """Take labels out of use; their judgments are kept, and set aside from training."""
    _change(workload_id, names, lambda t: retire_labels(t, names), yes=yes, dry_run=dry_run)


def _change(
    workload_id: str,
    names: Sequence[str],
    edit: Callable[[Taxonomy], Taxonomy],
    *,
    yes: bool,
    dry_run: bool,
) -> None:
    platform = open_platform(existing=True)
    planned = plan_edit(platform, workload_id, names, edit)
    versions = f"{planned.before} → {planned.taxonomy.version}"
    _show(planned.preview, f"{workload_id}: taxonomy version {versions}")
    if dry_run:
        _console.print("nothing was changed (--dry-run)")
        return
    if not yes and not typer.confirm("Change the workload file?"):
        raise typer.Exit(1)
    loads = apply_edit(platform, planned)
    _console.print(Text(f"wrote {planned.path}"))
    if not loads:
        _report_left(planned.losses)
        raise typer.Exit(1)


def _show(preview: TaxonomyPreview, title: str) -> None:
    _console.print(Text(title, style="bold"))
    parts = {
        "accepted judgments": preview.rows,
        "golden set": preview.golden,
        f"queue ({preview.waiting} items not answered), answers shown": preview.queue,
    }
    for part, effects in parts.items():
        _console.print(f"  {part}: {'' if effects else 'no change'}")
        for effect, rows in effects.items():
            _console.print(Text(show_controls(f"    {rows:>5}  {effect}")), soft_wrap=True)
    for cycle in preview.cycles:
        _console.print(
            f"  open cycle {cycle}: keeps the taxonomy that it opened with; the next has the new one"
        )
    if not preview.cycles:
        _console.print("  open cycle: none")


def _report_left(left: Sequence[TaxonomyLoss]) -> None:
    _console.print(Text("the file is still refused:", style="yellow"))
    for loss in left:
        _console.print(Text(show_controls(f"  {loss.what}: {loss.command}")), soft_wrap=True)

"""`flywheel taxonomy rename | merge | split | retire`: edits that keep every judgment."""

from collections.abc import Callable, Sequence

import typer
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.errors import ConfigurationError
from flywheel.review.queues.terminal_text import plain
from flywheel.usecases.taxonomy import TaxonomyPreview, preview_change
from flywheel.wiring import open_platform
from flywheel.workload.model import Workload, load_named_workload, parse_workload
from flywheel.workload.taxonomy import Taxonomy
from flywheel.workload.taxonomy_change import write_taxonomy
from flywheel.workload.taxonomy_edits import (
    merge_labels,
    rename_label,
    retire_labels,
    split_label,
    with_lost_label,
)
from flywheel.workload.taxonomy_losses import TaxonomyLoss, taxonomy_losses

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
    """Give a label another name; judgments under the former name go on counting."""
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
    path = platform.settings.workload_folder / f"{workload_id}.yaml"
    # As the file is: it may hold the very edit that this command makes good.
    workload = load_named_workload(path)
    if workload.taxonomy is None:
        raise ConfigurationError(
            f"{workload_id} has no taxonomy.", next_step="add `taxonomy` to its file first"
        )
    in_force = platform.taxonomies.of(workload_id) or workload.taxonomy
    changed = edit(with_lost_label(workload.taxonomy, in_force, names))
    left = taxonomy_losses(workload_id, in_force, changed)
    _show(
        preview_change(platform, _under(workload, in_force), _under(workload, changed)),
        f"{workload_id}: taxonomy version {in_force.version} → {changed.version}",
    )
    if dry_run:
        _console.print("nothing was changed (--dry-run)")
        return
    if not yes and not typer.confirm("Change the workload file?"):
        raise typer.Exit(1)
    workload = write_taxonomy(path, changed)
    _console.print(Text(f"wrote {path}"))
    if left:
        _report_left(left)
        raise typer.Exit(1)
    platform.taxonomies.check(workload)


def _under(workload: Workload, taxonomy: Taxonomy) -> Workload:
    raw = workload.model_dump(mode="json", by_alias=True)
    return parse_workload(raw | {"taxonomy": taxonomy.model_dump()}, source=workload.id)


def _show(preview: TaxonomyPreview, title: str) -> None:
    _console.print(Text(title, style="bold"))
    parts = {
        "accepted judgments": preview.rows,
        "golden set": preview.golden,
        f"queue ({preview.waiting} items not answered), answers shown": preview.queue,
    }
    for what, effects in parts.items():
        _console.print(f"  {what}: {'' if effects else 'no change'}")
        for effect, rows in effects.items():
            _console.print(Text(plain(f"    {rows:>5}  {effect}")), soft_wrap=True)
    for cycle in preview.cycles:
        _console.print(
            f"  open cycle {cycle}: keeps the taxonomy that it opened with; the next has the new one"
        )
    if not preview.cycles:
        _console.print("  open cycle: none")


def _report_left(left: Sequence[TaxonomyLoss]) -> None:
    _console.print(Text("the file is still refused:", style="yellow"))
    for loss in left:
        _console.print(Text(plain(f"  {loss.what}: {loss.command}")), soft_wrap=True)

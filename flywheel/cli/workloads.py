"""`flywheel init` and `flywheel taxonomy`: write and change workload files."""

from pathlib import Path

import typer
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.cli.taxonomy import register
from flywheel.deployment.init import LabeledSource, begin_workload
from flywheel.deployment.workload_text import DISCORDANCE
from flywheel.settings import load_settings
from flywheel.usecases.taxonomy_edit import add_workload_labels

__all__ = ["app"]

app = typer.Typer()
taxonomy_app = typer.Typer(help="Labels with stable ids, in versions.", no_args_is_help=True)
app.add_typer(taxonomy_app, name="taxonomy")
register(taxonomy_app)
_console = Console()


@app.command()
def init(  # noqa: PLR0913, PLR0917 - what a file may leave open
    workload_id: str = typer.Argument(metavar="WORKLOAD", help="such as support_tickets"),
    owner: str = typer.Option("owner", help="person or team that answers for it"),
    task: str = typer.Option("classification", help="classification, extraction or generation"),
    from_csv: Path | None = typer.Option(None, help="take the labels from a labeled file"),
    label_column: str = typer.Option("label", help="column of the labels in that file"),
    text_column: str = typer.Option(
        "text", help="column of the texts, looked at where it is there"
    ),
    skip_bad: bool = typer.Option(
        False, "--skip-bad", help="leave out broken rows of that file and those without a label"
    ),
    base_model: str | None = typer.Option(
        None,
        help="tiny: built in a minute, chooses between labels; smollm2 (the default): writes any "
        "answer, and trains slowly without a GPU; a folder; a hub name",
    ),
    discordance: float = typer.Option(
        DISCORDANCE,
        min=0.01,
        max=1.0,
        help="share of answers that differ between two models: decides the size of the golden set",
    ),
) -> None:
    """Write a commented workload file that loads as it is."""
    source = None
    if from_csv is not None:
        source = LabeledSource(from_csv, label_column, text_column, skip_bad=skip_bad)
    new = begin_workload(
        load_settings(),
        workload_id,
        owner=owner,
        task=task,
        base_model=base_model,
        source=source,
        discordance=discordance,
    )
    labels = f" with {new.labels} labels" if new.labels else ""
    _console.print(Text(f"wrote {new.path}{labels}"))
    for note in new.notes:
        _console.print(Text(note))
    if new.command is not None:
        _console.print(Text(f"next: {new.command}"))


@taxonomy_app.command()
def add(
    workload_id: str = typer.Argument(metavar="WORKLOAD"),
    names: list[str] = typer.Argument(metavar="NAME…", help="names of the new labels"),
) -> None:
    """Add labels as one new version of the taxonomy."""
    workload = add_workload_labels(load_settings(), workload_id, names)
    assert workload.taxonomy is not None  # add_workload_labels refuses a workload without one
    new = [label for label in workload.taxonomy.labels if label.name in names]
    summary = ", ".join(f"{label.name} (id {label.id}, version {label.added})" for label in new)
    _console.print(
        Text(f"{workload.id} is at taxonomy version {workload.taxonomy.version}: {summary}")
    )

"""`flywheel init` and `flywheel taxonomy`: write and change workload files."""

import shlex
from collections import Counter
from pathlib import Path

import typer
import yaml
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.cli.taxonomy import register
from flywheel.errors import ConfigurationError
from flywheel.io.delimited_file import read_table
from flywheel.settings import load_settings, make_private
from flywheel.usecases.new_workload import DISCORDANCE, labels_in_csv, workload_text
from flywheel.workload.model import load_workload, parse_workload
from flywheel.workload.taxonomy_change import add_labels

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
    task: str = typer.Option("classification", help="classification or extraction"),
    from_csv: Path | None = typer.Option(None, help="take the labels from a labelled file"),
    label_column: str = typer.Option("label", help="column of the labels in that file"),
    text_column: str = typer.Option(
        "text", help="column of the texts, looked at where it is there"
    ),
    skip_bad: bool = typer.Option(
        False, "--skip-bad", help="leave out broken rows of that file and those without a label"
    ),
    discordance: float = typer.Option(
        DISCORDANCE,
        min=0.01,
        max=1.0,
        help="share of answers that differ between two models: decides the size of the golden set",
    ),
) -> None:
    """Write a commented workload file that loads as it is."""
    from flywheel.drift.quality_promise import quality_promise

    settings = load_settings()
    folder = settings.workload_folder
    path = folder / f"{workload_id}.yaml"
    if path.exists():
        raise ConfigurationError(
            f"{path} is there already.", next_step="edit it, or choose another id"
        )
    counts: dict[str, int] = {}
    if from_csv:
        counts = _labels_of(from_csv, label_column, text_column, skip_bad=skip_bad)
    labels = list(counts) or ["first label", "second label"]
    text = workload_text(
        workload_id, owner=owner, labels=labels, task=task, discordance=discordance
    )
    make_private(settings.home, settings)  # it may be the first to need it
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    _console.print(Text(f"wrote {path} with {len(labels)} labels"))
    promise = quality_promise(load_workload(path))
    if not promise.holds:
        _console.print(Text(f"note: {promise.sentence}."))
    if from_csv:
        from flywheel.cli.import_seed import golden_note

        workload = load_workload(path)
        _console.print(Text(golden_note(workload.golden_size, counts, workload.minimum_examples)))
        words = ["flywheel", "import", str(from_csv), "--workload", workload_id]
        words += ["--text", text_column, "--label", label_column]
        words += ["--skip-bad"] if skip_bad else []
        _console.print(Text(f"next: {shlex.join(words)}"))


def _labels_of(
    path: Path, label_column: str, text_column: str, *, skip_bad: bool
) -> dict[str, int]:
    # Returns the labels with their usable rows; `flywheel import` will judge the file alike.
    from flywheel.cli.import_seed import SeedChoices, judge_labelled

    counts = labels_in_csv(path, label_column, skip_bad=True)
    if text_column not in read_table(path, [label_column]).columns:
        return labels_in_csv(path, label_column, skip_bad=skip_bad)
    text = workload_text("of_the_file", owner="owner", labels=list(counts))
    workload = parse_workload(yaml.safe_load(text), source=path.name)
    choices = SeedChoices(text_column, label_column, {}, None, None, skip_bad=skip_bad)
    _, check = judge_labelled(workload, path, choices, {})
    usable = Counter(str(row.output) for row in check.new)
    return {name: usable[name] for name in counts if usable[name]}


@taxonomy_app.command()
def add(
    workload_id: str = typer.Argument(metavar="WORKLOAD"),
    names: list[str] = typer.Argument(metavar="NAME…", help="names of the new labels"),
) -> None:
    """Add labels as one new version of the taxonomy."""
    workload = add_labels(load_settings().workload_folder / f"{workload_id}.yaml", names)
    assert workload.taxonomy is not None  # add_labels refuses a workload without one
    new = [label for label in workload.taxonomy.labels if label.name in names]
    told = ", ".join(f"{label.name} (id {label.id}, version {label.added})" for label in new)
    _console.print(
        Text(f"{workload.id} is at taxonomy version {workload.taxonomy.version}: {told}")
    )

"""`flywheel base`: build the base model that a workload's adapters stand on."""

import csv
from pathlib import Path

import typer

from flywheel.cli.console import Console
from flywheel.errors import ConfigurationError
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Base models.")
_console = Console()


@app.callback()
def base() -> None:
    """Base models."""


@app.command()
def build(
    name: str = typer.Argument(help="tiny, smollm2, a folder, or a hub name such as owner/model"),
    workload: str = typer.Option(..., help="workload whose adapters stand on it"),
    texts: Path | None = typer.Option(None, help="CSV with unlabelled inputs (tiny needs it)"),
    text_column: str = typer.Option("text", help="its column with the inputs"),
) -> None:
    """Build a base model, or find it in the cache, and remember it for the workload."""
    platform = open_platform()
    chosen = platform.workload(workload).model_copy(update={"base_model": name})
    with _console.status(f"building {name}"):
        model = platform.build_base(chosen, _read_texts(texts, text_column) if texts else ())
    _console.print(f"[bold]{model.name}[/bold] {model.digest[:16]} in {model.folder}")


def _read_texts(path: Path, column: str) -> list[str]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            if column not in (rows.fieldnames or ()):
                raise ConfigurationError(
                    f"{path} has no column {column!r}.",
                    next_step=f"choose one with --text-column: {', '.join(rows.fieldnames or ())}",
                )
            return [row[column] for row in rows if row[column]]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error}", next_step="give a CSV file in UTF-8"
        ) from error

"""`flywheel base`: build the base model that a workload's adapters stand on."""

import csv
import os
from pathlib import Path

import typer

from flywheel.artifacts.base_folder import BaseModel
from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.cli.progress import ProgressLines
from flywheel.errors import ConfigurationError, RefusedError
from flywheel.ports.model_server import BASE_RELEASE
from flywheel.wiring import Platform, open_platform
from flywheel.workload.model import Workload

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Base models.")
_console = Console()


@app.callback()
def base() -> None:
    """Base models."""


@app.command()
def build(
    name: str | None = typer.Argument(
        None,
        help="tiny, smollm2, a folder, or a hub name such as owner/model; default: base_model of "
        "the workload file, which it must agree with",
    ),
    workload: str = typer.Option(..., "--workload", "-w", help="workload whose adapters it gets"),
    texts: Path | None = typer.Option(
        None, help="CSV with unlabelled inputs for tiny; default: the workload's texts in the lake"
    ),
    text_column: str = typer.Option("text", help="its column with the inputs"),
    replace: bool = typer.Option(
        False, "--replace", help="build another base although a release stands on the present one"
    ),
    json_output: JsonOption = False,
) -> None:
    """Build a base model, or find it in the cache, and remember it for the workload.

    The model is placed into the deployment's home. Safe to run again.
    """
    platform = open_platform(existing=True)
    chosen = platform.workload(workload)
    name = name or chosen.base_model
    _check_name(platform, chosen, name)
    if name == "tiny":
        _check_tiny(chosen, Console(stderr=json_output))
    inputs: list[str] = []
    if texts is not None:
        inputs = _read_texts(texts, text_column)
    elif name == "tiny":
        inputs = _lake_texts(platform, chosen)
        Console(stderr=json_output).print(
            f"{len(inputs):,} different texts of {chosen.id} are in the lake."
        )
    _hide_bars()
    # Lines beside the facts in JSON go to standard error.
    with ProgressLines(Console(stderr=json_output)) as lines:
        lines.show(f"building {name}")
        model = platform.build_base(
            chosen,
            inputs,
            on_progress=lines.show,
            check=lambda built: None if replace else _check_champion(platform, chosen, built),
        )
    if json_output:
        print_facts(model)
        return
    _console.print(
        f"[bold]{model.name}[/bold] {model.digest[:16]} in {model.folder}", soft_wrap=True
    )


def _hide_bars() -> None:
    # Bars of files being written would stand between the command's lines.
    os.environ.setdefault("TQDM_DISABLE", "1")


def _check_name(platform: Platform, workload: Workload, name: str) -> None:
    if name != workload.base_model:
        file = platform.settings.workload_folder / f"{workload.id}.yaml"
        raise ConfigurationError(
            f"The file of {workload.id} names the base model {workload.base_model}, not {name}.",
            next_step=f"write base_model: {name} into {file}, or build {workload.base_model}",
        )


def _check_tiny(workload: Workload, console: Console) -> None:
    from flywheel.basemodel.fit import check_tiny_fits

    shortcoming = check_tiny_fits(workload)
    if shortcoming is not None:
        console.print(f"note: {shortcoming}", markup=False, style="yellow", soft_wrap=True)


def _check_champion(platform: Platform, workload: Workload, built: BaseModel) -> None:
    # A tiny base is named by its texts: with more of them, the same command makes another one.
    if platform.bases.recorded_digest(workload) in {None, built.digest}:
        return
    champion = platform.state.routes.champion(workload.id)
    if champion != BASE_RELEASE:
        raise RefusedError(
            f"{champion} answers for {workload.id} and stands on the present base; on this other "
            f"one ({built.digest[:16]}) it could not be served.",
            next_step="keep the present base; to start afresh, roll back to the release base and "
            "add --replace",
        )


def _lake_texts(platform: Platform, workload: Workload) -> list[str]:
    from flywheel.usecases.base_texts import base_texts

    return base_texts(platform.lake, workload.id)


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

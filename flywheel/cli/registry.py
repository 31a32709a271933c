"""`flywheel registry copy`: bring runs and model versions to another MLflow."""

from collections.abc import Mapping
from typing import Annotated

import typer

from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="MLflow: the way from a file to a server.")
_console = Console()


@app.callback()
def registry() -> None:
    """MLflow: the way from a file to a server."""


@app.command()
def copy(
    source: Annotated[
        str | None,
        typer.Option("--from", help="URI to copy from; default: SQLite in FLYWHEEL_HOME"),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Copy every workload's runs, model versions and aliases to the MLflow of the settings."""
    from flywheel.deployment.moves import move_registry

    def show(_workload_id: str, versions: Mapping[str, str | None]) -> None:
        for release, version in versions.items():
            if not json_output:
                text = f"version {version}" if version else "never registered"
                _console.print(f"  {release}: {text}", markup=False)

    def show_places(old: str, new: str) -> None:
        if not json_output:
            _console.print(f"{old} -> {new}", markup=False)

    done = move_registry(
        open_platform(existing=True), source=source, on_begin=show_places, on_workload=show
    )
    if json_output:
        print_facts(done)
        return
    _console.print("every file was read back and is the same; the source is as it was")

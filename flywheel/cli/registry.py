"""`flywheel registry copy`: bring runs and model versions to another MLflow."""

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
    from flywheel.release.registry import MlflowRegistry
    from flywheel.release.registry_copy import copy_registry

    platform = open_platform(existing=True)
    artifacts = platform.home / "mlflow" / "artifacts"
    old = MlflowRegistry(source or platform.settings.embedded_mlflow, artifacts)
    new = platform.registry
    if not json_output:
        _console.print(f"{old.place.name} -> {new.place.name}", markup=False)
    versions: dict[str, dict[str, str | None]] = {}
    for workload_id in platform.workloads:
        versions[workload_id] = copy_registry(platform.state, old, new, workload_id)
        if json_output:
            continue
        for release, version in versions[workload_id].items():
            told = f"version {version}" if version else "never registered"
            _console.print(f"  {release}: {told}", markup=False)
    if json_output:
        print_facts({"source": old.place.name, "target": new.place.name, "versions": versions})
        return
    _console.print("every file was read back and is the same; the source is as it was")

"""`flywheel up` and `flywheel down`: Dagster's and MLflow's pages and the gateway."""

from typing import Annotated

import typer
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.deployment.pages import close_pages, open_pages
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer()
_console = Console()


@app.command()
def up(
    port: Annotated[
        int | None, typer.Option(help="port of Dagster's pages; default: FLYWHEEL_DAGSTER_PORT")
    ] = None,
    mlflow: Annotated[
        bool, typer.Option(help="open the embedded MLflow too, on FLYWHEEL_MLFLOW_PORT")
    ] = True,
    gateway: Annotated[
        bool, typer.Option(help="start the gateway too, on FLYWHEEL_GATEWAY_PORT")
    ] = True,
) -> None:
    """Start Dagster's web interface and daemon, MLflow's pages and the gateway, on this deployment."""
    platform = open_platform()
    with _console.status("starting") as spinner:
        opened = open_pages(
            platform.settings,
            port=port,
            mlflow=mlflow,
            gateway=gateway,
            on_progress=lambda line: spinner.update(Text(line)),
        )
    if opened.note is not None:
        _console.print(Text(opened.note, style="yellow"))
    if opened.ran_before:
        for page in opened.pages:
            state = "already up" if page.is_up else "not up; `flywheel down` first"
            _console.print(f"{page.name} is {state}: {page.url}")
        return
    for page in opened.pages:
        _console.print(f"{page.name} is up: [bold]{page.url}[/bold]  (stop it with `make down`)")
    if platform.is_demo:
        _console.print(
            "The demo's calendar is over, so sensors and schedules are switched off; "
            "the page Automation switches them on. Dagster's own times are those of the runs: the "
            "simulated date of each is in its metadata."
        )


@app.command()
def down() -> None:
    """Stop what `flywheel up` started."""
    if close_pages(open_platform().settings):
        _console.print("Dagster, MLflow's pages and the gateway are down.")
    else:
        _console.print("Dagster is not running.")

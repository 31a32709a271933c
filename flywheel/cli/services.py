"""`flywheel services`: bring up what a deployment stands on, look at it, take it down."""

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console, echo
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.deployment.local_services import (
    ServiceRows,
    bring_up,
    choose_programs,
    embedded_settings,
    last_lines,
    log_files,
    object_store_variables,
    service_rows,
    take_down,
    user_managed,
)
from flywheel.deployment.preparation import prepare_deployment
from flywheel.errors import ConfigurationError
from flywheel.settings import load_settings
from flywheel.settings.comma_list import comma_list

if TYPE_CHECKING:
    from flywheel.services import Services

__all__ = ["app"]

app = typer.Typer(
    help="Kafka, PostgreSQL, MLflow, Label Studio, Ray, S3, vLLM, Dagster: no Docker, no root.",
    no_args_is_help=True,
)
_console = Console()
_NAMES = typer.Argument(
    None,
    help="kafka, postgres, mlflow, label-studio, ray, object-store and spark (only when named), vllm, dagster, ingest, webhooks, gateway, desk; none: all",
)


@app.command()
def up(
    names: list[str] | None = _NAMES,
    brokers: int = typer.Option(1, min=1, max=5, help="brokers of a Kafka that is new"),
    ephemeral: bool = typer.Option(
        False, "--ephemeral", help="own ports and data, kept until Ctrl-C and deleted then"
    ),
) -> None:
    """Start what does not run yet, and wait until each serves."""
    settings = embedded_settings()
    requested = choose_programs(settings, names or (), on_notice=_console.print)
    if not ephemeral:
        for name, keys in user_managed(settings, requested).items():
            variables = ", ".join(f"FLYWHEEL_{key.upper()}" for key in keys)
            _console.print(f"{name}: yours ({variables}), left alone.")
    with _progress() as say:
        services = bring_up(
            settings, requested, brokers=brokers, ephemeral=ephemeral, on_progress=say
        )
    _show(service_rows(settings.model_copy(update={"services": services.folder})))
    _say_where(services)
    if ephemeral:
        with services:
            _console.print("These services end with this command: Ctrl-C.")
            _wait_for_signal()


@app.command()
def prepare() -> None:
    """Make topics, schema and Dagster's folder where the settings say, and start nothing."""
    prepare_deployment(load_settings(), lambda line: _console.print(Text(line)))
    _console.print("Topics, schema and Dagster's folder are there.")


@app.command()
def down(names: list[str] | None = _NAMES) -> None:
    """Stop the named services, or all; no process and no port is left."""
    done = take_down(embedded_settings(), names or ())
    for name in done.programs:
        _console.print(f"{name} is down.")
    if names:
        return
    if done.ended:
        _console.print(f"Ended {done.ended} processes that had outlived their supervisor.")
    _console.print("All services are down. Their data stays in", Text(str(done.folder)))


@app.command()
def status(json_output: JsonOption = False) -> None:
    """Show each program: state, process, port, memory, age and log."""
    services = service_rows(embedded_settings())
    if json_output:
        print_facts([asdict(row) for row in services.rows])
        return
    _show(services)
    if services.orphans:
        raise ConfigurationError(
            f"The supervisor has died, and what it ran still does: {', '.join(services.orphans)}.",
            next_step="run `flywheel services down`, which ends them, and then `up` again",
        )


@app.command()
def logs(
    names: list[str] | None = _NAMES,
    lines: int = typer.Option(40, "-n", "--lines", min=0, help="how many of the last lines"),
    follow: bool = typer.Option(False, "--follow", "-f", help="follow until Ctrl-C"),
) -> None:
    """Print the logs."""
    files = log_files(embedded_settings(), names or ())
    if follow:
        command = ["tail", "-n", str(lines), "-F", *(str(file) for file in files)]
        subprocess.run(command, check=False)  # noqa: S603 - our own files
        return
    for file in files:
        if len(files) > 1:
            _console.print(Text(file.name, style="bold"))
        echo(last_lines(file, lines))


def _say_where(services: "Services") -> None:
    plan = services.plan
    if "mlflow" in plan.ports:
        _console.print(f"MLflow: http://127.0.0.1:{plan.ports['mlflow'][0]}")
    if "label-studio" in plan.ports:
        _console.print(f"Label Studio: http://127.0.0.1:{plan.ports['label-studio'][0]}")
    for url in comma_list(services.connections.vllm_url) if plan.applications else ():
        _console.print(f"vLLM: {url} (token in connections.toml)")
    if "dagster-webserver" in plan.applications:
        port = plan.applications["dagster-webserver"].ports[0]
        _console.print(f"Dagster: http://127.0.0.1:{port}")
    if "gateway" in plan.applications:
        port = plan.applications["gateway"].ports[0]
        _console.print(f"Gateway: http://127.0.0.1:{port}/v1 (keys: `flywheel keys create`)")
    if "desk" in plan.applications:
        port = plan.applications["desk"].ports[0]
        _console.print(f"Release desk: http://127.0.0.1:{port} (people: `flywheel people add`)")
    variables = object_store_variables(services)
    if variables is not None:
        _console.print("Lake in S3:", Text(f"set -a; . {variables}; set +a"))
    _console.print("To use them:", Text(f"export FLYWHEEL_PROFILE=services{_folder(services)}"))


def _folder(services: "Services") -> str:
    same = embedded_settings().services.absolute()
    return "" if same == services.folder else f" FLYWHEEL_SERVICES={services.folder}"


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    with _console.status("looking at what runs") as spinner:

        def say(line: str) -> None:
            spinner.update(Text(line))
            if not _console.is_terminal:
                _console.print(Text(line))

        yield say


def _show(services: ServiceRows) -> None:
    table = Table(title=str(services.folder), caption=str(services.log))
    for column in ("program", "state", "pid", "port", "MiB", "up"):
        table.add_column(column, no_wrap=True)
    for row in services.rows:
        color = "green" if row.state == "running" else "red"
        table.add_row(
            row.name,
            Text(row.state, style=color),
            str(row.pid or ""),
            _ports(row.ports),
            str(row.memory_mb or ""),
            _age(row.uptime_seconds),
        )
    _console.print(table)


def _ports(ports: tuple[int, ...]) -> str:
    # The first is the one that people open; Ray has many.
    return " ".join([*(str(port) for port in ports[:2]), *(["…"] if ports[2:] else [])])


def _age(seconds: int | None) -> str:
    if seconds is None:
        return ""
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours}:{minutes:02d}:{seconds % 60:02d}"


def _wait_for_signal() -> None:
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    stop.wait()

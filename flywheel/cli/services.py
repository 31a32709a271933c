"""`flywheel services`: bring up what a deployment stands on, look at it, take it down."""

import json
import signal
import subprocess
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.applications import APPLICATIONS
from flywheel.cli.console import Console, echo
from flywheel.errors import ConfigurationError
from flywheel.settings import Settings, load_settings

if TYPE_CHECKING:
    from flywheel.services import Services

__all__ = ["app"]

app = typer.Typer(
    help="Kafka, PostgreSQL, MLflow, Label Studio, Ray, vLLM, Dagster: no Docker, no root.",
    no_args_is_help=True,
)
_console = Console()
_NAMES = typer.Argument(
    None,
    help="kafka, postgres, mlflow, label-studio, ray, vllm, dagster, ingest, webhooks; none: all",
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
    from flywheel.services import SERVICES

    wanted = set(names or _everything(SERVICES))
    unknown = sorted(wanted - {*SERVICES, *APPLICATIONS})
    if unknown:
        raise ConfigurationError(
            f"There is no service {', '.join(unknown)}.",
            next_step=f"choose some of: {', '.join((*SERVICES, *APPLICATIONS))}",
        )
    services = _bring_up(wanted, brokers=brokers, ephemeral=ephemeral)
    _show(services)
    _say_where(services)
    if ephemeral:
        with services:
            _console.print("These services end with this command: Ctrl-C.")
            _wait_for_signal()


def _everything(services: Collection[str]) -> Collection[str]:
    from flywheel.cli.applications import built_bases

    settings = _settings()
    if settings.vllm_url is None and not built_bases(settings):
        _console.print("vllm: left out, since no base model was built yet.")
        return {*services, *APPLICATIONS} - {"vllm"}
    return {*services, *APPLICATIONS}


def _bring_up(wanted: Collection[str], *, brokers: int, ephemeral: bool) -> "Services":
    from flywheel.cli.applications import run_applications
    from flywheel.services import SERVICES, start
    from flywheel.services.connections import extend_connections

    settings = _settings()
    if not ephemeral:
        _say_own(settings, wanted)
    with _progress() as say:
        services = start(
            settings,
            [name for name in SERVICES if name in wanted],
            ephemeral=ephemeral,
            brokers=brokers,
            on_progress=say,
        )
        applications = [name for name in APPLICATIONS if name in wanted]
        if settings.vllm_url is not None and not ephemeral and "vllm" in wanted:
            applications.remove("vllm")
            extend_connections({"model_server": "vllm"}, services.folder)
        if applications:
            now = load_settings(profile="services", services=services.folder)
            run_applications(services, now, applications, on_progress=say)
    return services


@app.command()
def prepare() -> None:
    """Make topics, schema and Dagster's folder where the settings say, and start nothing."""
    from flywheel.cli.applications import prepare_deployment

    prepare_deployment(load_settings(), lambda line: _console.print(Text(line)))
    _console.print("Topics, schema and Dagster's folder are there.")


@app.command()
def down(names: list[str] | None = _NAMES) -> None:
    """Stop the named services, or all; no process and no port is left."""
    from flywheel.services import Services, stop

    folder = _settings().services.absolute()
    services = Services(folder)
    if names:
        for name in _programs(services, names):
            services.stop(name)
            _console.print(f"{name} is down.")
        return
    ended = stop(folder)
    if ended:
        _console.print(f"Ended {ended} processes that had outlived their supervisor.")
    _console.print("All services are down. Their data stays in", Text(str(folder)))


@app.command()
def status(json_output: bool = typer.Option(False, "--json", help="for machines")) -> None:
    """Show each program: state, process, port, memory, age and log."""
    from flywheel.services import Services
    from flywheel.services.supervisor.status import orphans, statuses

    services = Services(_settings().services)
    if json_output:
        typer.echo(json.dumps([asdict(row) for row in statuses(services)]))
        return
    _show(services)
    left = orphans(services)
    if left:
        raise ConfigurationError(
            f"The supervisor has died, and what it ran still does: {', '.join(left)}.",
            next_step="run `flywheel services down`, which ends them, and then `up` again",
        )


@app.command()
def logs(
    names: list[str] | None = _NAMES,
    lines: int = typer.Option(40, "-n", "--lines", min=0, help="how many of the last lines"),
    follow: bool = typer.Option(False, "--follow", "-f", help="go on until Ctrl-C"),
) -> None:
    """Print the logs."""
    from flywheel.services import Services
    from flywheel.services.supervisor.supervision import tail

    services = Services(_settings().services)
    files = [services.log(name) for name in _programs(services, names or [])]
    if follow:
        command = ["tail", "-n", str(lines), "-F", *(str(file) for file in files)]
        subprocess.run(command, check=False)  # noqa: S603 - our own files
        return
    for file in files:
        if len(files) > 1:
            _console.print(Text(file.name, style="bold"))
        echo(tail(file, lines))


def _settings() -> Settings:
    # As if nothing were started: what is left are the addresses that somebody gave on purpose.
    return load_settings(profile="embedded", event_log="sqlite")


def _programs(services: "Services", names: Collection[str]) -> list[str]:
    """Return the programs of the named services: kafka may be three, dagster is two."""
    known = services.names
    chosen = [
        program
        for program in known
        if not names or any(program == name or program.startswith(f"{name}-") for name in names)
    ]
    if not chosen:
        raise ConfigurationError(
            f"No such service was started: {', '.join(names)}.",
            next_step=f"choose some of: {', '.join(known) or 'none was started yet'}",
        )
    return chosen


def _say_own(settings: Settings, wanted: Collection[str]) -> None:
    from flywheel.services.catalog import own

    for name, keys in own(settings).items():
        if name in wanted:
            given = ", ".join(f"FLYWHEEL_{key.upper()}" for key in keys)
            _console.print(f"{name}: yours ({given}), left alone.")


def _say_where(services: "Services") -> None:
    plan = services.plan
    if "mlflow" in plan.ports:
        _console.print(f"MLflow: http://127.0.0.1:{plan.ports['mlflow'][0]}")
    if "label-studio" in plan.ports:
        _console.print(f"Label Studio: http://127.0.0.1:{plan.ports['label-studio'][0]}")
    if "vllm" in plan.applications:
        port = plan.applications["vllm"].ports[0]
        _console.print(f"vLLM: http://127.0.0.1:{port} (token in connections.toml)")
    if "dagster-webserver" in plan.applications:
        port = plan.applications["dagster-webserver"].ports[0]
        _console.print(f"Dagster: http://127.0.0.1:{port}")
    _console.print("To use them:", Text(f"export FLYWHEEL_PROFILE=services{_folder(services)}"))


def _folder(services: "Services") -> str:
    same = load_settings(profile="embedded", event_log="sqlite").services.absolute()
    return "" if same == services.folder else f" FLYWHEEL_SERVICES={services.folder}"


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    with _console.status("looking at what runs") as spinner:

        def say(line: str) -> None:
            spinner.update(Text(line))
            if not _console.is_terminal:
                _console.print(Text(line))

        yield say


def _show(services: "Services") -> None:
    from flywheel.services.supervisor.status import statuses

    table = Table(title=str(services.folder), caption=str(services.log("PROGRAM")))
    for column in ("program", "state", "pid", "port", "MiB", "up"):
        table.add_column(column, no_wrap=True)
    for row in statuses(services):
        colour = "green" if row.state == "running" else "red"
        table.add_row(
            row.name,
            Text(row.state, style=colour),
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

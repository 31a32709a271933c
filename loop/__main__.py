"""`make loop`: start every service, play one turn, sum it up, and leave nothing running."""

import argparse
import os
import signal
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from flywheel.cli.applications import run_applications
from flywheel.cli.program import run_program
from flywheel.review.label_studio.provisioning import provision
from flywheel.services import Services, start
from flywheel.settings import load_settings, restrict_files
from flywheel.wiring import Platform
from loop.embedded import Lived, embedded_dataset_hash
from loop.stage import SIZES, WORKLOAD, Window, claim, set_stage, write_workload
from loop.summary import show, summarise
from loop.turn import Places, Turn
from loop.waiting import Teller

PROJECT = Path(__file__).parent.parent
SERVICES = ("kafka", "postgres", "mlflow", "label-studio", "ray")
APPLICATIONS = ("vllm", "dagster", "ingest", "webhooks")


def main() -> int:
    """Run the loop and return the process's exit code."""
    arguments = _arguments()
    # A terminal that is closed or a job that is cancelled must not leave the services behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    done = run_program(lambda console: _run(arguments, console), as_json=arguments.json)
    return 0 if done is not None and done["whole"] else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make loop", description="One turn on every service.")
    parser.add_argument("--base", choices=sorted(SIZES), default="smollm2")
    parser.add_argument("--folder", type=Path, default=Path(".flywheel/loop"))
    parser.add_argument("--keep", action="store_true", help="leave it all running until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    return parser.parse_args()


def _run(arguments: argparse.Namespace, console: Console) -> dict[str, Any]:
    folder = arguments.folder.absolute()
    claim(folder)
    # What the services start reads its settings from the environment, as this process does.
    os.environ |= {
        "FLYWHEEL_HOME": str(folder / "home"),
        "FLYWHEEL_WORKLOADS": str(folder / "home" / "workloads"),
        "FLYWHEEL_SENSOR_SECONDS": os.environ.get("FLYWHEEL_SENSOR_SECONDS", "3"),
    }
    sizes, window = SIZES[arguments.base], Window.before(datetime.now(UTC))
    later = datetime.now(UTC) + timedelta(hours=12)
    restrict_files(load_settings(profile="embedded"))
    write_workload(folder / "home" / "workloads", arguments.base, sizes, window, later)
    teller = Teller(console)
    console.print(Text("One turn of the wheel on every service. People are simulated.", "bold"))
    with teller.part("services") as tell:
        services = start(
            load_settings(profile="embedded"), SERVICES, ephemeral=True, on_progress=teller.show
        )
        tell(", ".join(services.names))
    with services:
        _prepare(arguments.base, services, teller)
        platform = Platform(load_settings(profile="services", services=services.folder))
        try:
            places = _places(services, teller)
            turn = Turn(platform, sizes, arguments.base, window, places, teller)
            turn.play()
            summary = _sum_up(turn, platform)
        finally:
            platform.close()
        show(summary, console)
        if arguments.keep:
            console.print(Text("Everything runs on until Ctrl-C.", style="bold"))
            _wait_for_signal()
    return summary


def _prepare(base: str, services: Services, teller: Teller) -> None:
    settings = load_settings(profile="services", services=services.folder)
    with teller.part("base") as tell:
        platform = Platform(settings)
        tell(set_stage(platform, SIZES[base]))
        teller.show("making the workload's project in Label Studio")
        provision(platform.label_studio, platform.workload(WORKLOAD), platform.webhook_target)
        platform.close()
    with teller.part("programs") as tell:
        run_applications(services, settings, APPLICATIONS, project=PROJECT, on_progress=teller.show)
        tell(", ".join(services.plan.applications))


def _places(services: Services, teller: Teller) -> Places:
    plan, logs = services.plan, services.layout.logs
    port = plan.applications["dagster-webserver"].ports[0]
    dagster = f"http://127.0.0.1:{port}"
    places = Places(
        dagster=dagster,
        queue=services.connections.label_studio_url or "the local queue",
        training=services.connections.ray_address or f"{dagster}/runs",
        mlflow=services.connections.mlflow_url or "MLflow",
        logs=str(logs),
    )
    for name, where in vars(places).items():
        teller.console.print(Text(f"          {name}: {where}", style="dim"), soft_wrap=True)
    return places


def _sum_up(turn: Turn, platform: Platform) -> dict[str, Any]:
    assert turn.sent is not None
    with turn.teller.part("embedded") as tell, tempfile.TemporaryDirectory() as folder:
        snapshot = platform.state.cycles.get(WORKLOAD, turn.facts["cycle"]).snapshot
        facts = turn.facts
        lived = Lived(turn.sizes, turn.sent, facts["chosen_at"], facts.get("by_hand"))
        workload = turn.workload.model_validate(snapshot)
        embedded = embedded_dataset_hash(
            Path(folder), platform, workload, lived, show=turn.teller.show
        )
        tell(f"dataset {embedded[:12]}")
    return summarise(turn, platform, embedded)


def _wait_for_signal() -> None:
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    stop.wait()


if __name__ == "__main__":
    sys.exit(main())

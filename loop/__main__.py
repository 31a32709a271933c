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

from flywheel.cli.program import run_program
from flywheel.deployment.local_services import bring_up
from flywheel.deployment.programs import run_applications
from flywheel.services import Services
from flywheel.settings import load_settings, restrict_files
from flywheel.usecases.annotator_accounts import provision_projects
from flywheel.usecases.keys import create_key
from flywheel.usecases.simulated_world import APPROVER
from flywheel.wiring import Platform
from loop.embedded import Lived, embedded_dataset_hash
from loop.stage import SIZES, WORKLOAD, Places, Window, claim, set_stage, write_workload
from loop.summary import show, summarize
from loop.turn import Turn
from loop.waiting import ProgressReporter

PROJECT = Path(__file__).parent.parent
SERVICES = ("kafka", "postgres", "mlflow", "label-studio", "ray")
APPLICATIONS = ("vllm", "dagster", "ingest", "webhooks", "gateway")
# From before the programs start until the traffic has landed, on two idle cores.
_START_SECONDS = 210


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
        "FLYWHEEL_SENSOR_SECONDS": os.environ.get("FLYWHEEL_SENSOR_SECONDS", "5"),
    }
    sizes, window = SIZES[arguments.base], Window.before(datetime.now(UTC))
    later = datetime.now(UTC) + timedelta(hours=12)
    restrict_files(load_settings(profile="embedded"))
    write_workload(folder / "home" / "workloads", arguments.base, sizes, window, later)
    reporter = ProgressReporter(console)
    console.print(Text("One turn of the wheel on every service. People are simulated.", "bold"))
    with reporter.part("services") as tell:
        services = bring_up(
            load_settings(profile="embedded"), SERVICES, ephemeral=True, on_progress=reporter.show
        )
        tell(", ".join(services.names))
    with services:
        sample_at = _prepare(arguments.base, window, services, reporter)
        platform = Platform(load_settings(profile="services", services=services.folder))
        try:
            places = _places(services, reporter)
            key = create_key(platform, "loop", person=APPROVER).key
            turn = Turn(platform, sizes, arguments.base, window, places, reporter, key, sample_at)
            turn.play()
            summary = _sum_up(turn, platform)
        finally:
            platform.close()
        show(summary, console)
        if arguments.keep:
            console.print(Text("Everything runs on until Ctrl-C.", style="bold"))
            _wait_for_signal()
    return summary


def _prepare(base: str, window: Window, services: Services, reporter: ProgressReporter) -> datetime:
    settings = load_settings(profile="services", services=services.folder)
    with reporter.part("base") as tell:
        platform = Platform(settings)
        tell(set_stage(platform, SIZES[base]))
        reporter.show("making the workload's project in Label Studio")
        for project in provision_projects(platform, [WORKLOAD]):
            if project.error is not None:
                raise project.error
        platform.close()
    with reporter.part("programs") as tell:
        # The daemon reads the file when it starts: what people review is chosen once they all run.
        sample_at = datetime.now(UTC) + timedelta(seconds=_START_SECONDS)
        sample_at = sample_at.replace(second=0, microsecond=0)  # a file states minutes
        write_workload(settings.workload_folder, base, SIZES[base], window, sample_at)
        run_applications(
            services, settings, APPLICATIONS, project=PROJECT, on_progress=reporter.show
        )
        tell(", ".join(services.plan.applications))
    return sample_at


def _places(services: Services, reporter: ProgressReporter) -> Places:
    plan, logs = services.plan, services.layout.logs
    port = plan.applications["dagster-webserver"].ports[0]
    dagster = f"http://127.0.0.1:{port}"
    places = Places(
        dagster=dagster,
        queue=services.connections.label_studio_url or "the local queue",
        training=services.connections.ray_address or f"{dagster}/runs",
        mlflow=services.connections.mlflow_url or "MLflow",
        logs=str(logs),
        gateway=f"http://127.0.0.1:{plan.applications['gateway'].ports[0]}",
    )
    for name, where in vars(places).items():
        reporter.console.print(Text(f"          {name}: {where}", style="dim"), soft_wrap=True)
    return places


def _sum_up(turn: Turn, platform: Platform) -> dict[str, Any]:
    assert turn.messages is not None
    with turn.reporter.part("embedded") as tell, tempfile.TemporaryDirectory() as folder:
        assert turn.cycle is not None
        assert turn.chosen_at is not None
        opened = platform.state.cycles.get(turn.cycle).opened
        lived = Lived(turn.sizes, turn.messages, turn.chosen_at, turn.by_hand)
        embedded = embedded_dataset_hash(
            Path(folder), platform, opened, lived, show=turn.reporter.show
        )
        tell(f"dataset {embedded[:12]}")
    return summarize(turn, platform, embedded)


def _wait_for_signal() -> None:
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    stop.wait()


if __name__ == "__main__":
    sys.exit(main())

"""`make demo`: set the stage, play the story, sum it up."""

import argparse
import atexit
import json
import shutil
import sys
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.text import Text

from demo.calendar import START
from demo.clients import GatewayClients
from demo.faults import FaultyServer, ReplicaFault
from demo.progress import AnnouncingLauncher, Progress, Stage
from demo.runner import InProcessDagster
from demo.stages import StagePlayer
from demo.story import Story
from demo.summary import show, summarize
from demo.world import SimulatedWorld
from flywheel.artifacts.base_folder import BaseModel
from flywheel.cli.program import run_program
from flywheel.clock import ManualClock
from flywheel.errors import ConfigurationError, NotFoundError
from flywheel.io.atomic import write_json, write_text
from flywheel.io.yaml_text import YamlText
from flywheel.orchestration.instance import open_instance, prepare_dagster_home
from flywheel.orchestration.workers import fail_orphaned_runs
from flywheel.settings import load_settings, restrict_files
from flywheel.simulation.traffic import pretraining_texts, seed_labels_of
from flywheel.usecases.import_seed import import_rows
from flywheel.wiring import DEMO_MARK, Platform, open_launcher, open_model_server
from flywheel.workload.model import Workload

WORKLOAD = "defect_reports"
PER_DAY = 30
SEED = 7
SEED_LABELS = 700
PRETRAINING_TEXTS = 6000
# What differs from the workload file: a pretrained model needs fewer passes, and more time for each.
RECIPES: dict[str, dict[str, float]] = {
    "tiny": {},
    "smollm2": {"epochs": 3, "learning_rate": 1e-3, "batch_size": 8, "timeout_seconds": 10800},
}
# The base answers too badly to be compared with. At 30 reports a day all are copied, and a stage
# takes days: three of shadow, two until the first canary has failed, five of the next one.
RELEASE: dict[str, object] = {
    "first_release": "champion",
    "shadow": {"days": 3, "share": 1.0, "minimum_pairs": 75},
    "canary": [{"share": 0.5, "days": 5, "minimum_answers": 50}],
    "guards": {"significance": 0.001},
}
EXAMPLES = Path(__file__).parent.parent / "deploy" / "workloads"


def main() -> int:
    """Run the demo and return the process's exit code."""
    arguments = _arguments()
    done = run_program(lambda console: _run(arguments, console), as_json=arguments.json)
    return 1 if done is None else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description="One workload, two quarters.")
    parser.add_argument("--base", choices=sorted(RECIPES), default="tiny")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    return parser.parse_args()


def _run(arguments: argparse.Namespace, console: Console) -> dict[str, object]:
    settings = load_settings()
    restrict_files(settings)
    home = settings.home
    _claim(home, arguments.base)
    # The code location reads the workload files when it is imported: they must be there.
    from definitions import defs

    clock = ManualClock(START)
    launcher = AnnouncingLauncher(open_launcher(settings))
    fault = ReplicaFault()
    platform = Platform(
        settings,
        clock,
        launcher=launcher,
        model_server=lambda base: FaultyServer(open_model_server(settings, base), fault),
    )
    atexit.register(platform.close)
    atexit.register(launcher.close)
    progress = Progress(console)
    console.print(
        Text("One workload, two quarters and a short third period. People are simulated.", "bold")
    )
    with open_instance(prepare_dagster_home(platform.settings)) as instance:
        fail_orphaned_runs(instance)
        dagster = InProcessDagster(defs, instance, platform)
        world = SimulatedWorld(platform, WORKLOAD, per_day=PER_DAY, seed=SEED)
        _set_stage(platform, progress)
        clients = GatewayClients(platform, clock, WORKLOAD, SEED)
        stages = StagePlayer(platform, clock, dagster, world, clients, fault, progress)
        Story(platform, clock, dagster, world, launcher, progress, stages).play()
        clock.move_to(clock.now() + timedelta(hours=1))
        summary = summarize(platform, world, dagster, progress)
    _finish(home)
    show(summary, platform, console)
    return summary


def _claim(home: Path, base: str) -> None:
    """Make the demo's home: refuse a user's own, resume an interrupted one, clear a finished one."""
    mark = home / DEMO_MARK
    if home.exists() and any(home.iterdir()) and not mark.exists():
        raise ConfigurationError(
            f"{home} holds a deployment that is not the demo's.",
            next_step="keep it, and run the demo with FLYWHEEL_HOME set to another folder",
        )
    if mark.exists():
        before = json.loads(mark.read_text())
        if before["finished"] or before["base"] != base:
            shutil.rmtree(home)
    (home / "workloads").mkdir(parents=True, exist_ok=True)
    if not mark.exists():
        write_json(mark, {"base": base, "finished": False})
    copy = home / "workloads" / f"{WORKLOAD}.yaml"
    if not copy.exists():
        text = (EXAMPLES / f"{WORKLOAD}.yaml").read_text(encoding="utf-8")
        write_text(copy, _on_base(text, base))


def _on_base(text: str, base: str) -> str:
    """Write the workload file for another base model, its comments kept."""
    document = YamlText(text, source=f"{WORKLOAD}.yaml")
    document.put(document.root, "base_model", base)
    for key, value in RECIPES[base].items():
        document.put(document.root["training"], key, value)
    document.put(document.root, "release", RELEASE)
    return document.text()


def _base(platform: Platform, workload: Workload, stage: Stage) -> BaseModel:
    # One that is there is kept: with the labels that the owner adds later it would be another one.
    try:
        return platform.base(workload)
    except NotFoundError:
        texts = pretraining_texts(count=PRETRAINING_TEXTS, seed=SEED)
        return platform.build_base(workload, texts, on_progress=stage.show)


def _finish(home: Path) -> None:
    mark = home / DEMO_MARK
    write_json(mark, json.loads(mark.read_text()) | {"finished": True})


def _set_stage(platform: Platform, progress: Progress) -> None:
    workload = platform.workload(WORKLOAD)
    with progress.stage("base") as stage:
        base = _base(platform, workload, stage)
        stage.tell(f"{base.name} {base.digest[:12]}")
    with progress.stage("seed") as stage:
        rows = [(item.text, item.output) for item in seed_labels_of(count=SEED_LABELS, seed=SEED)]
        count = import_rows(platform, workload, rows, source_name="seed.csv")
        stage.tell(f"{count} labeled reports")


if __name__ == "__main__":
    sys.exit(main())

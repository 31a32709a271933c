"""`make demo`: set the stage, play the story, sum it up."""

import argparse
import json
import re
import shutil
import sys
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.text import Text

from demo.calendar import START
from demo.progress import Progress
from demo.runner import InProcessDagster
from demo.story import Story
from demo.summary import show, summarise
from demo.world import SimulatedWorld
from flywheel.cli.program import run_program
from flywheel.clock import ManualClock
from flywheel.errors import ConfigurationError
from flywheel.ingest.seed import import_seed
from flywheel.orchestration.instance import open_instance, prepare_dagster_home
from flywheel.orchestration.workers import bury_dead_runs
from flywheel.settings import load_settings, restrict_files
from flywheel.simulation.traffic import labelled_seed, pretraining_texts
from flywheel.wiring import DEMO_MARK, Platform, open_platform

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
    platform = open_platform(clock)
    progress = Progress(console)
    console.print(
        Text("One workload, two quarters and a short third period. People are simulated.", "bold")
    )
    with open_instance(prepare_dagster_home(platform.settings)) as instance:
        bury_dead_runs(instance)
        dagster = InProcessDagster(defs, instance, platform)
        world = SimulatedWorld(platform, WORKLOAD, per_day=PER_DAY, seed=SEED)
        _set_stage(platform, progress)
        Story(platform, clock, dagster, world, progress).play()
        clock.move_to(clock.now() + timedelta(hours=1))
        summary = summarise(platform, world, dagster, progress)
    _finish(home)
    show(summary, platform, console)
    return summary


def _claim(home: Path, base: str) -> None:
    """Make the demo's home: refuse someone's own, go on with a cut-off one, clear a finished one."""
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
        mark.write_text(json.dumps({"base": base, "finished": False}))
    copy = home / "workloads" / f"{WORKLOAD}.yaml"
    if not copy.exists():
        text = (EXAMPLES / f"{WORKLOAD}.yaml").read_text(encoding="utf-8")
        copy.write_text(_on_base(text, base), encoding="utf-8")


def _on_base(text: str, base: str) -> str:
    """Write the workload file for another base model, its comments kept."""
    for key, value in ({"base_model": base} | RECIPES[base]).items():
        text, changed = re.subn(
            rf"^( *{key}:) [^ \n]+", rf"\g<1> {value}", text, flags=re.MULTILINE
        )
        assert changed == 1, key
    return text


def _finish(home: Path) -> None:
    mark = home / DEMO_MARK
    mark.write_text(json.dumps(json.loads(mark.read_text()) | {"finished": True}))


def _set_stage(platform: Platform, progress: Progress) -> None:
    workload = platform.workload(WORKLOAD)
    with progress.stage("base") as stage:
        texts = pretraining_texts(count=PRETRAINING_TEXTS, seed=SEED)
        base = platform.build_base(workload, texts, on_progress=stage.show)
        stage.tell(f"{base.name} {base.digest[:12]}")
    with progress.stage("seed") as stage:
        rows = [(item.text, item.output) for item in labelled_seed(count=SEED_LABELS, seed=SEED)]
        count = import_seed(
            platform.lake, workload, rows, source_name="seed.csv", now=platform.clock.now()
        )
        stage.tell(f"{count} labelled reports")


if __name__ == "__main__":
    sys.exit(main())

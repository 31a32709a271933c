"""The stage of the loop: its sizes, its workload file, its home and its labeled seed."""

import math
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from flywheel.errors import ConfigurationError, RefusedError
from flywheel.io.atomic import write_json, write_text
from flywheel.simulation.traffic import SimulatedCall, generate, pretraining_texts, seed_labels_of
from flywheel.usecases.import_seed import import_rows
from flywheel.wiring import Platform
from flywheel.workload.model import Workload
from flywheel.workload.periods import next_period_start, period_start

__all__ = [
    "SEED",
    "SIZES",
    "WORKLOAD",
    "Places",
    "Sizes",
    "Window",
    "claim",
    "seed_labels",
    "set_stage",
    "write_workload",
]

WORKLOAD = "defect_reports"
SEED = 7
_MARK = "loop.json"
_EXAMPLE = Path(__file__).parent.parent / "deploy" / "workloads" / f"{WORKLOAD}.yaml"
_LONGEST_DAYS = 6
_STAGE_DAYS = 30 / 86_400
# Half a minute of shadow and half a minute of canary, on what one client asks each second. vLLM on
# a CPU adds an adapter's cost, and trainings run beside it: how long an answer took says nothing.
_RELEASE: dict[str, Any] = {
    "shadow": {"days": _STAGE_DAYS, "share": 1.0, "minimum_pairs": 5},
    "canary": [{"share": 0.5, "days": _STAGE_DAYS, "minimum_answers": 5}],
    "guards": {"margins": {"slow": None}},
}


@dataclass(frozen=True)
class Sizes:
    """How much of everything a base model gets; a real one takes more time for each."""

    events: int
    seed_labels: int
    reviews: int
    golden: int
    training: dict[str, Any]
    pretraining_texts: int = 6000


SIZES = {
    "tiny": Sizes(events=240, seed_labels=400, reviews=130, golden=120, training={"epochs": 8}),
    "smollm2": Sizes(
        events=200,
        seed_labels=360,
        reviews=110,
        golden=100,
        training={
            "epochs": 3,
            "learning_rate": 1e-3,
            "batch_size": 8,
            "checkpoint_steps": 20,
            "timeout_seconds": 7200,
        },
    ),
}


@dataclass(frozen=True)
class Places:
    """Where a person looks."""

    dagster: str
    queue: str
    training: str
    mlflow: str
    logs: str
    gateway: str


@dataclass(frozen=True)
class Window:
    """The whole days before today in which the traffic of the loop lies."""

    start: datetime
    end: datetime

    @classmethod
    def before(cls, now: datetime) -> "Window":
        """Choose the last days that lie in this year: a new year opens a cycle by itself."""
        end = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        start = max(end - timedelta(days=_LONGEST_DAYS), period_start("yearly", now))
        if start >= end:
            raise RefusedError(
                "On 1 January the calendar opens a cycle by itself, before anyone has judged.",
                next_step="run the loop tomorrow",
            )
        return cls(start, end)

    def calls(self, workload: Workload, count: int) -> list[SimulatedCall]:
        """Return about ``count`` reports of these days; same seed, same reports."""
        days = (self.end - self.start) / timedelta(days=1)
        return generate(
            workload,
            start=self.start,
            end=self.end,
            per_day=count / days,
            seed=SEED,
            drift=None,
        )


def claim(home: Path) -> None:
    """Recreate the loop's home; a user's own deployment is refused."""
    mark = home / _MARK
    if home.exists() and any(home.iterdir()) and not mark.exists():
        raise ConfigurationError(
            f"{home} holds a deployment that is not the loop's.",
            next_step="give the loop another folder: LOOP_FLAGS='--folder DIR'",
        )
    if home.exists():
        shutil.rmtree(home)
    home.mkdir(parents=True)
    write_json(mark, {"made": datetime.now(UTC).isoformat()})


def write_workload(
    folder: Path, base: str, sizes: Sizes, window: Window, sample_at: datetime
) -> Path:
    """Write the workload's file: the example, with sizes that let one turn take minutes."""
    raw: dict[str, Any] = yaml.safe_load(_EXAMPLE.read_text(encoding="utf-8"))
    # What is left of the year's budget is spread evenly over the year: this window's share of it
    # is meant to be `reviews`.
    year = next_period_start("yearly", window.start) - window.start
    budget = math.ceil(sizes.reviews * (year / (window.end - window.start))) + 1
    changes: dict[str, dict[str, Any]] = {
        "review": {"budget": budget},
        "daily": {"sample": f"{sample_at:%H:%M}"},
        "trigger": {"corrections": sizes.reviews // 2},
        # So few cases show wide differences alone, and minutes of training teach only so much.
        # A laptop's cores are shared by every service at once, and vLLM adds an adapter's cost.
        "gates": {
            "margin": 0.1,
            "holdout_margin": 0.5,
            "minimum_accuracy": 0.2,
            "latency_ratio": 8.0,
        },
        "training": {"checkpoint_steps": 20, **sizes.training},
    }
    for section, values in changes.items():
        raw[section] = raw.get(section, {}) | values
    raw |= {"base_model": base, "cadence": "yearly", "golden_size": sizes.golden}
    raw["release"] = _RELEASE
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{WORKLOAD}.yaml"
    write_text(path, yaml.safe_dump(raw, sort_keys=False, allow_unicode=True))
    return path


def set_stage(platform: Platform, sizes: Sizes) -> str:
    """Build the base model and import the labeled seed; return what was done in words."""
    workload = platform.workload(WORKLOAD)
    texts = pretraining_texts(count=sizes.pretraining_texts, seed=SEED)
    base = platform.build_base(workload, texts)
    count = seed_labels(platform, workload, sizes)
    return f"base {base.name} {base.digest[:12]}, {count} labeled reports"


def seed_labels(platform: Platform, workload: Workload, sizes: Sizes) -> int:
    """Import the labeled seed."""
    rows = [(item.text, item.output) for item in seed_labels_of(count=sizes.seed_labels, seed=SEED)]
    return import_rows(platform, workload, rows, source_name="seed.csv")

"""What a simulation is asked to play, the workload made for it, and what one quarter showed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from flywheel.io.atomic import write_text
from flywheel.io.records import JsonObject
from flywheel.workload.model import Workload, parse_workload
from flywheel.workload.sections import StrategyName

__all__ = ["Arm", "QuarterResult", "SimulationPlan", "simulated_workload", "write_workload"]

Arm = Literal["policy", "random"]


@dataclass(frozen=True)
class SimulationPlan:
    """One arm of one simulation; ``cap`` bounds the traffic of a quarter.

    ``strategy`` orders the uncertain answers of the policy arm; the random arm has none.
    ``workload`` holds the sections of a workload file that are played; None: a choice of labels.
    """

    workload_id: str
    base: str
    arm: Arm
    seed: int
    quarters: int
    budget: int
    seed_per_label: int
    cap: int | None
    error_rate: float
    recipe: dict[str, Any]
    strategy: StrategyName = "cluster_margin"
    workload: dict[str, Any] | None = None


@dataclass(frozen=True)
class QuarterResult:
    """What was known after one quarter; quarter 0 has the seed alone.

    ``accuracy`` and ``tfidf`` are measured on the same test rows; ``tfidf`` on the labels that the
    adapter was trained on, None for an extraction. ``fields`` are precision, recall and F1 by field
    on the test rows, ``field_averages`` those of all fields (`FieldAverages`).
    """

    quarter: int
    judgments: int
    labels: int
    traffic: int
    accuracy: float
    tfidf: float | None
    traffic_accuracy: float | None
    reviewed: dict[str, int]
    seconds: float
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    field_averages: dict[str, dict[str, float | None]] | None = None


def simulated_workload(plan: SimulationPlan, labels: Sequence[str]) -> Workload:
    """Return the workload that a plan plays."""
    return parse_workload(_content(plan, labels), source="the simulation")


def write_workload(plan: SimulationPlan, labels: Sequence[str], home: Path) -> Workload:
    """Write the workload file of a plan into ``home`` and return what it says."""
    text = yaml.safe_dump(_content(plan, labels), sort_keys=False)
    write_text(home / "workloads" / f"{plan.workload_id}.yaml", text)
    return simulated_workload(plan, labels)


def _content(plan: SimulationPlan, labels: Sequence[str]) -> JsonObject:
    content = {
        "id": plan.workload_id,
        "owner": "simulation",
        "description": "a labeled file replayed as traffic; times and people are simulated",
        "seed": plan.seed,
        "task": {"type": "classification"},
        "taxonomy": {
            "version": 1,
            "labels": [{"id": f"l{n:03d}", "name": name} for n, name in enumerate(labels)],
        },
        "prompt": "{input}\nIntent: ",
        "base_model": plan.base,
        "minimum_examples": 1,
        "golden_size": 10,
        "review": {
            "budget": plan.budget,
            "shares": {"control": 0.1, "uncertain": 0.6, "novel": 0.3, "flagged": 0.0},
            "strategy": plan.strategy,
            "overlap": 0.05,
            "gold": 0.0,  # what is measured is the policy, not the simulated people
        },
        "training": plan.recipe,
    }
    return content | (plan.workload or {})

"""`flywheel simulate`: what is compared, with which recipe, and how spread is printed."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from flywheel.cli import simulation
from flywheel.errors import ConfigurationError
from flywheel.usecases import simulation_study
from flywheel.usecases.simulation_plan import SimulationPlan, simulated_workload


@dataclass(frozen=True)
class Quarter:
    """The figures of a quarter that are compared."""

    accuracy: float
    tfidf: float


def runs(*accuracies):
    """Return a run per seed: the seed's labels alone, then two quarters around an accuracy."""
    return [
        [Quarter(0.5, 0.4), Quarter(value - 0.01, value - 0.1), Quarter(value + 0.01, value)]
        for value in accuracies
    ]


def test_recipe_is_the_demos_and_not_chosen_on_a_test_file(repository: Path):
    """The simulation trains `tiny` as the demo does, whose reports are generated."""
    path = repository / "deploy" / "workloads" / "defect_reports.yaml"
    training = yaml.safe_load(path.read_text(encoding="utf-8"))["training"]
    recipe = simulation_study.RECIPES["tiny"]
    assert recipe == {key: training[key] for key in recipe}


def test_gain_over_random_is_paired_by_seed():
    """Seeds that differ by far do not hide a difference that each of them shows."""
    lines = simulation_study.gains(
        {"policy, cluster_margin": runs(0.63, 0.73, 0.84), "random": runs(0.60, 0.70, 0.80)}
    )
    assert lines[0].startswith(
        "policy, cluster_margin over random labeling, adapter, mean of the quarters: +3.3 ± 1.4"
    )
    assert len(lines) == 2


def test_one_seed_has_no_interval():
    """One seed shows a difference and says that its spread is unknown."""
    (line, _) = simulation_study.gains({"policy, random": runs(0.63), "random": runs(0.60)})
    assert line.endswith("+3.0 points (one seed: no interval)")
    assert simulation._with_spread([0.5]) == "0.500"
    assert simulation._with_spread([0.5, 0.6]) == "0.550 ±0.071"


def test_strategies_are_played_by_the_policy_alone():
    """Random labeling has no strategy: it is played once, whatever is compared."""
    played = simulation_study.compared_runs(
        ["policy", "random"], ["cluster_margin", "least_confident"]
    )
    assert played == [
        ("policy", "cluster_margin"),
        ("policy", "least_confident"),
        ("random", "cluster_margin"),
    ]
    with pytest.raises(ConfigurationError, match="k_center"):
        simulation._chosen_strategies("cluster_margin,k_center")


def test_strategy_of_a_plan_is_that_of_its_workload():
    """What is compared is what the review stage reads."""
    plan = SimulationPlan(
        workload_id="parts",
        base="tiny",
        arm="policy",
        seed=0,
        quarters=1,
        budget=40,
        seed_per_label=2,
        cap=None,
        error_rate=0.0,
        recipe={},
        strategy="least_confident",
    )
    assert simulated_workload(plan, ["a", "b"]).review.strategy == "least_confident"

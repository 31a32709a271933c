"""A recipe that is chosen on a part of the training rows, through the whole trainer."""

import json

import pytest

from flywheel.train import search
from flywheel.train.recipe import train
from flywheel.train.reporting import read_progress
from flywheel.workload.training import RecipeSearch
from tests.fakes.micro_base import training_spec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def test_a_recipe_is_searched_kept_and_followed(tmp_path, monkeypatch):
    """Result and manifest say what was tried and why; a search that was cut off goes on."""
    spec = training_spec(tmp_path / "dataset", rows=30, epochs=2, batch_size=6)
    wanted = RecipeSearch(budget=2.0, learning_rates=(1e-3, 1e-2), ranks=(4,), validation=0.2)
    recipe = spec.recipe.model_copy(update={"search": wanted, "balance": "auto"})
    spec = spec.model_copy(update={"recipe": recipe})
    out = tmp_path / "out"

    measure, measured = search.TrialRunner.measure, []

    def cut_off(self, trial, *rest):
        if len(measured) == 1:
            raise KeyboardInterrupt
        measured.append(trial)
        return measure(self, trial, *rest)

    monkeypatch.setattr(search.TrialRunner, "measure", cut_off)
    with pytest.raises(KeyboardInterrupt):
        train(spec, out)
    monkeypatch.setattr(
        search.TrialRunner,
        "measure",
        lambda self, trial, *rest: (measured.append(trial), measure(self, trial, *rest))[1],
    )
    result = train(spec, out)

    found = result.details["training"]["search"]
    assert [(t["learning_rate"], t["epochs"]) for t in found["trials"][:2]] == [
        (trial.learning_rate, trial.epochs) for trial in measured[:2]
    ]
    assert len(found["trials"]) == len(measured) == 3
    assert found["rows"] == {"train": 24, "validation": 6}
    assert "lowest validation loss of 2 recipes" in found["why"]
    chosen = found["chosen"]
    assert chosen["rank"] == 4
    assert result.metrics["chosen_learning_rate"] == chosen["learning_rate"]
    assert result.metrics["steps"] == 5 * chosen["epochs"]
    config = json.loads((out / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (4, chosen["alpha"])
    assert result.details["serving"]["max_lora_rank"] >= 4
    assert all(point.stage == "sft" for point in read_progress(out))
    assert train(spec, out) == result

"""A second stage from thumbs, through the whole trainer."""

import pytest

from flywheel.artifacts.adapter_folder import verify_adapter
from flywheel.train.recipe import train
from flywheel.workload.model import PreferenceRecipe
from tests.fakes.micro_base import classification, labeled, training_spec, write_snapshot

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def spec_with_thumbs(folder, **preference):
    """Return a spec whose second stage learns from twelve thumbs up and five down."""
    spec = training_spec(folder, rows=12, epochs=2, batch_size=6)
    names = [label.name for label in classification().taxonomy.labels]
    records = [
        {"inference_id": f"i{number}", "input": text, "output": name}
        for number, (text, name) in enumerate(labeled(12))
    ]
    thumbs = [
        {
            "inference_id": f"t{number}",
            "prompt": f"Report: {text}\nPart: ",
            "completion": name if number < 12 else names[(names.index(name) + 1) % 3],
            "label": number < 12,
        }
        for number, (text, name) in enumerate(labeled(17))
    ]
    digest = write_snapshot(folder, records, thumbs)
    recipe = PreferenceRecipe(
        **{"method": "kto", "minimum_thumbs": 5, "epochs": 2, "batch_size": 4} | preference
    )
    changed = spec.recipe.model_copy(update={"preference": recipe})
    return spec.model_copy(update={"recipe": changed, "dataset_hash": digest})


def test_thumbs_move_the_adapter_from_unwanted_answers_to_wanted_ones(tmp_path):
    """What was learnt first is the reference; the result says how many thumbs it rests on."""
    spec = spec_with_thumbs(tmp_path / "dataset", learning_rate=2e-3)
    result = train(spec, tmp_path / "out")
    verify_adapter(tmp_path / "out" / result.adapter, base_digest=spec.base_digest)
    assert result.details["training"]["preference"]["method"] == "kto"
    metrics = result.metrics
    assert (metrics["preference_thumbs_up"], metrics["preference_thumbs_down"]) == (12.0, 5.0)
    assert metrics["preference_steps"] == 5 * 2
    assert metrics["preference_rewards_chosen"] > metrics["preference_rewards_rejected"]

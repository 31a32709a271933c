"""What an auditor finds beside a release in MLflow: the card, and the bill of materials."""

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pytest

from flywheel.release.model_card import shorten_card, training_hours
from flywheel.release.sbom import SBOM_FILE
from tests.fakes.registry import MemoryRegistry
from tests.fakes.release_world import START, ReleaseWorld

WRONG = ("golden 0 scratch", "golden 1 dent", "golden 3 scratch", "holdout 0 scratch")


def _land(world):
    # Half of the golden cases come from each of two regions; one has a value that is markup.
    count = 90
    regions = ["<b>north" if number % 2 else "south" for number in range(count)]
    rows = {
        "topic": ["t"] * count, "topic_id": ["t"] * count, "partition": [0] * count,
        "offset": list(range(count)), "landed_at": [START] * count, "timestamp": [START] * count,
        "day": [START.date()] * count, "workload_id": [world.workload.id] * count,
        "inference_id": [f"golden-{number}" for number in range(count)],
        "client_id": ["web"] * count,
        "request": [json.dumps({"messages": [], "metadata": {"region": one}}) for one in regions],
    }  # fmt: skip
    world.lake.append("inferences", pa.table(rows))
    return {
        "workload_id": [world.workload.id] * 3, "snapshot": ["?"] * 3, "cycle": ["c"] * 3,
        "split": ["train", "train", None], "inference_id": ["a", "b", "c"],
        "correction_id": ["a", "b", "c"], "reason": [None, None, "near_duplicate"],
    }  # fmt: skip


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Return a world whose promoted release has four cases wrong, and the texts beside it."""
    folder = tmp_path_factory.mktemp("card")
    registry = MemoryRegistry(folder)
    world = ReleaseWorld(folder, registry, groups=["client_id", "metadata.region"])
    members = _land(world)
    cycle = world.judged("r1", wrong=WRONG)
    snapshot = world.state.releases.get("r1").dataset_hash
    world.lake.append("dataset_rows", pa.table(members | {"snapshot": [snapshot] * 3}))
    world.approve(cycle)
    world.promote(cycle)
    run_id = world.state.releases.get("r1").lineage.run_id
    yield world, registry.written_texts(world.workload.id, run_id)
    world.close()


def test_card_has_what_an_auditor_asks_for(released):
    """Use, intervals by label and group, failures, data with exclusions, hours, hashes, approval."""
    world, texts = released
    card = texts["model_card.md"]
    release = world.state.releases.get("r1")
    for line in (
        "Not for other tasks, languages or sources",
        "| golden | candidate | 90 | 0.967 | 0.907 to 0.989 |",
        "| scratch | 50 | 0.940 | 0.838 to 0.979 |",
        "## By group: client&#95;id",
        "| web | 90 | 0.967 |",
        "| &#60;b&#62;north | 45 |",
        "| (not given) | 60 |".replace("(", "&#40;").replace(")", "&#41;"),
        "Largest difference between groups of at least 10 cases:",
        "- scratch answered as stain: 3 cases",
        "- dent answered as stain: 1 cases",
        "- rows by split: train 2",
        "- training rows by source: unknown 2",
        "- left out, by reason: near&#95;duplicate 1",
        "- hours: not measured",
        "- energy: not measured",
        f"- adapter manifest (sha256): `{release.manifest_digest}`",
        "(simulated approver)",
    ):
        assert line in card, line
    assert "<b>" not in card


def test_bill_of_materials_names_every_component_by_its_hash(released):
    """Adapter files, base, data and what depends on what; the text is the same at a repeat."""
    world, texts = released
    bill = json.loads(texts[SBOM_FILE])
    release = world.state.releases.get("r1")
    model = bill["metadata"]["component"]
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    assert model["hashes"] == [{"alg": "SHA-256", "content": release.manifest_digest}]
    weights = (Path(release.adapter) / "adapter_model.safetensors").read_bytes()
    [file] = model["components"]
    assert file["hashes"][0]["content"] == hashlib.sha256(weights).hexdigest()
    by_type = {part["type"]: part for part in bill["components"]}
    assert by_type["machine-learning-model"]["hashes"][0]["content"] == release.lineage.base_digest
    splits = {one["name"]: one["hashes"][0]["content"] for one in by_type["data"]["components"]}
    golden = (release.lineage.dataset_folder / "golden.jsonl").read_bytes()
    assert splits["golden.jsonl"] == hashlib.sha256(golden).hexdigest()
    references = {part["bom-ref"] for part in bill["components"]} | {model["bom-ref"]}
    assert {one["ref"] for one in bill["dependencies"]} == references
    metrics = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert {"golden", "label scratch", "client_id web"} <= {one["slice"] for one in metrics}
    assert model["modelCard"]["modelParameters"]["datasets"] == [
        {"ref": by_type["data"]["bom-ref"]}
    ]


def test_description_fits_beside_a_model_version(released):
    """MLflow takes 5,000 characters; the whole card is in the file."""
    _, texts = released
    description = texts["version 1"].rpartition("\n{")[0]
    assert description == shorten_card(texts["model_card.md"])
    long = "\n".join(f"line {number}" for number in range(2_000))
    short = shorten_card(long)
    assert len(short) <= 5_000
    assert short.endswith("The whole card is model_card.md of the run.")
    assert shorten_card("short") == "short"


def test_hours_are_those_that_were_measured():
    """Preparation and both stages; without a measurement there is no number."""
    seconds = {"preparation_seconds": 600, "training_seconds": 3_000, "loss": 0.1}
    assert training_hours(seconds) == 1.0
    assert training_hours({"loss": 0.1}) is None

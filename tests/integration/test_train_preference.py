"""Preference training from the lake to an adapter that answers, and through a kill."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from flywheel.artifacts.adapter_folder import verify_adapter
from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.artifacts.snapshot import read_rows
from flywheel.dataset.build import build_dataset
from flywheel.errors import DataError
from flywheel.io.patience import Patience
from flywheel.lake.store import Lake
from flywheel.ports.train_launcher import TrainResult, TrainSpec
from flywheel.serve.local_server import LocalModelServer
from flywheel.train.checkpoints import SUPERVISED
from flywheel.train.recipe import train
from flywheel.train.reporting import read_progress
from flywheel.workload.model import PreferenceRecipe, Workload, parse_workload
from tests.fakes.micro_base import classification, codec, labeled, micro_base, training_spec
from tests.fakes.review_world import END, put_corrections

# The same steps on the same pairs: the rounding of optimizer state on its way through a checkpoint.
TOLERANCE = 1e-5

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def workload_asking() -> Workload:
    raw = classification().model_dump(mode="json", by_alias=True)
    raw["training"] |= {
        "epochs": 6,
        "batch_size": 4,
        "rank": 8,
        "preference": {
            "epochs": 3,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "minimum_pairs": 8,
            "length_bias": 0.25,
        },
    }
    raw |= {"minimum_examples": 10, "golden_size": 10, "review": {"near_duplicate": 1.0}}
    return parse_workload(raw, source="preference")


def corrections(count: int) -> list[dict[str, object]]:
    """Return corrections of answers that named the label of the next report."""
    found = labeled(count + 1)
    return [
        {
            "inference_id": f"i{number:05d}",
            "input": text,
            "output": name,
            "original_output": found[number + 1][1],
        }
        for number, (text, name) in enumerate(found[:count])
    ]


def spec_on(folder: Path, dataset_hash: str, workload: Workload) -> TrainSpec:
    base = micro_base()
    return TrainSpec(
        release="parts-2026Q2-1",
        workload=workload,
        cycle="2026Q2-1",
        attempt=1,
        base_folder=base.folder,
        base_digest=base.digest,
        surfaces=dict(codec().surfaces),
        dataset_folder=folder,
        dataset_hash=dataset_hash,
        recipe=workload.training,
        seed=0,
    )


def weights(out: Path, result: TrainResult) -> dict[str, np.ndarray]:
    return load_file(out / result.adapter / "adapter_model.safetensors")


def test_corrections_become_an_adapter_that_prefers_them(tmp_path: Path):
    """From the lake to an answer: pairs without the disputed item, both stages, one adapter."""
    workload = workload_asking()
    with closing(Lake(tmp_path / "lake")) as lake:
        put_corrections(lake, workload, corrections(45))
        disputed = {"version": 0, "status": "disputed", "output": None}
        put_corrections(lake, workload, [one | disputed for one in corrections(45)[20:30]])
        snapshot = build_dataset(
            lake,
            OpenedWorkload(CycleRef(workload.id, "2026Q2-1"), workload),
            home=tmp_path / "home",
            now=END,
        )
    pairs = {row["inference_id"] for row in read_rows(snapshot.folder, "preference")}
    trained_on = {row["inference_id"] for row in read_rows(snapshot.folder, "train")}
    quarrel = {f"i{number:05d}" for number in range(20, 30)}
    assert trained_on & quarrel
    assert not pairs & quarrel
    assert snapshot.preference["exclusions"]["disputed"] == len(trained_on & quarrel)
    spec, out = spec_on(snapshot.folder, snapshot.hash, workload), tmp_path / "out"

    out.mkdir()
    result = train(spec, out)

    assert verify_adapter(out / result.adapter, base_digest=spec.base_digest)
    # What a server loads is one plain adapter, without the copy that it was compared with.
    assert all(n.endswith(("lora_A.weight", "lora_B.weight")) for n in weights(out, result))
    assert not [path for path in (out / result.adapter).iterdir() if path.is_dir()]
    assert result.metrics["preference_pairs"] == len(pairs)
    assert result.metrics["preference_rewards_accuracies"] >= 0.9
    assert result.metrics["preference_rewards_margins"] > 0
    done = result.details["training"]
    assert done["preference"]["reference"] == "the supervised adapter"
    assert "TRL" in done["preference"]["plan"]["reasons"]["packing"]
    told = read_progress(out)
    assert [line.stage for line in told] == sorted((line.stage for line in told), reverse=True)
    assert told[-1].step == told[-1].steps
    # The first steps are those of the reference itself: nothing is preferred yet.
    first = next(line for line in told if line.stage == "preference")
    assert first.rewards["margins"] == pytest.approx(0, abs=1e-5)
    assert first.loss == pytest.approx(np.log(2), abs=1e-5)
    assert told[-1].rewards["accuracies"] == result.metrics["preference_rewards_accuracies"]
    assert not [path for path in out.rglob("*") if path.suffix in {".bin", ".pt", ".pth"}]
    assert not (out / SUPERVISED).exists()
    server = LocalModelServer(micro_base().folder)
    server.load(spec.release, out / result.adapter)
    asked = labeled(12)
    answers = server.answer(spec.release, codec(), [text for text, _ in asked])
    assert [answer.output for answer in answers] == [name for _, name in asked]


def two_stages(folder: Path) -> TrainSpec:
    recipe = PreferenceRecipe(epochs=5, batch_size=4, learning_rate=1e-3)
    return training_spec(folder, rows=24, pairs=24, checkpoint_steps=4, preference=recipe)


def test_killed_in_the_second_stage_resumes_there(tmp_path: Path):
    """SIGKILL among the preference steps costs none of the supervised ones, and changes nothing."""
    spec = two_stages(tmp_path / "dataset")
    (tmp_path / "whole").mkdir()
    whole = train(spec, tmp_path / "whole")
    first = int(whole.metrics["steps"])
    out = tmp_path / "killed"
    out.mkdir()
    (out / "spec.json").write_text(spec.model_dump_json())
    child = subprocess.Popen(
        [sys.executable, "-m", "flywheel.train", str(out / "spec.json"), "--out", str(out)],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    patience = Patience(180)
    while child.poll() is None and not patience.is_over:
        if sum(line.step for line in read_progress(out)[-1:]) >= first + 15:
            os.kill(child.pid, signal.SIGKILL)
            break
        time.sleep(0.02)
    assert child.wait() == -signal.SIGKILL
    assert list(out.rglob("*.md")) == []
    kept = (out / SUPERVISED / "adapter_model.safetensors").read_bytes()
    before = [line for line in (out / "progress.jsonl").read_text().splitlines() if "sft" in line]

    resumed = train(spec, out)

    after = [line for line in (out / "progress.jsonl").read_text().splitlines() if "sft" in line]
    assert kept
    assert after == before
    assert resumed.resumed_from_step >= first + 12
    assert resumed.metrics["final_loss"] == pytest.approx(whole.metrics["final_loss"], abs=1e-6)
    expected, found = weights(tmp_path / "whole", whole), weights(out, resumed)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=TOLERANCE, err_msg=name)


def test_too_few_pairs_leave_the_stage_out(tmp_path: Path):
    """Few corrections are no reason to fail: the supervised adapter stands, and why is said."""
    recipe = PreferenceRecipe(minimum_pairs=20)
    spec = training_spec(tmp_path / "dataset", rows=8, pairs=19, epochs=1, preference=recipe)
    out = tmp_path / "out"
    out.mkdir()
    result = train(spec, out)
    assert "19 pairs" in result.details["training"]["preference"]["left_out"]
    assert not [name for name in result.metrics if name.startswith("preference")]


def test_snapshot_without_pairs_is_refused(tmp_path: Path):
    """A snapshot that lacks its preference rows is no snapshot of this recipe."""
    spec = training_spec(tmp_path / "dataset", preference=PreferenceRecipe())
    with pytest.raises(DataError, match="not a dataset snapshot"):
        train(spec, tmp_path / "out")

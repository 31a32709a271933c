"""What a lost worker had done reaches the next one, in whichever stage it was lost."""

import json
from pathlib import Path

from flywheel.train.checkpoints import FOLDER, PREFERENCE_FOLDER, SUPERVISED, last_complete
from flywheel.train.launch.checkpoint_uploader import CheckpointUploader, bring_back
from flywheel.train.launch.exchange import Exchange
from flywheel.train.memory import PLANS
from flywheel.train.reporting import PROGRESS
from flywheel.train.stages import RECORD


def checkpoint(out: Path, folder: str, step: int) -> Path:
    """Write a complete checkpoint."""
    made = out / folder / f"checkpoint-{step}"
    made.mkdir(parents=True)
    for name in ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt"):
        (made / name).write_bytes(f"{folder} {step} {name}".encode())
    (made / "adapter_config.json").write_text("{}")
    (made / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    return made


def next_worker(exchange: Exchange, folder: Path) -> Path:
    """Return the output folder of a worker that takes over."""
    folder.mkdir()
    bring_back(exchange, "runs/r", folder)
    return folder


def test_work_of_the_first_stage_is_handed_on(tmp_path: Path):
    """Progress and the newest whole checkpoint arrive; one that was torn does not."""
    exchange, out = Exchange(f"file://{tmp_path / 'exchange'}"), tmp_path / "out"
    out.mkdir()
    with CheckpointUploader(exchange, "runs/r", out):
        checkpoint(out, FOLDER, 4)
        torn = checkpoint(out, "torn", 8)
        (torn / "optimizer.pt").unlink()
        torn.rename(out / FOLDER / torn.name)
        (out / PROGRESS).write_text("{}\n")
    there = next_worker(exchange, tmp_path / "next")
    assert [path.name for path in (there / FOLDER).iterdir()] == ["checkpoint-4"]
    assert last_complete(there) == there / FOLDER / "checkpoint-4"
    assert (there / PROGRESS).read_text() == "{}\n"
    assert not (there / SUPERVISED).exists()


def test_work_of_the_second_stage_is_handed_on_with_that_of_the_first(tmp_path: Path):
    """The supervised adapter, what was learned about memory and the newest preference steps."""
    exchange, out = Exchange(f"file://{tmp_path / 'exchange'}"), tmp_path / "out"
    out.mkdir()
    with CheckpointUploader(exchange, "runs/r", out):
        whole = out / "whole"
        whole.mkdir()
        (whole / "adapter_model.safetensors").write_bytes(b"learnt")
        (whole / RECORD).write_text("{}")
        whole.rename(out / SUPERVISED)
        (out / PLANS).write_text("{}")
        for step in (3, 6, 9):
            checkpoint(out, PREFERENCE_FOLDER, step)
    there = next_worker(exchange, tmp_path / "next")
    assert (there / SUPERVISED / "adapter_model.safetensors").read_bytes() == b"learnt"
    assert (there / PLANS).exists()
    newest = last_complete(there, PREFERENCE_FOLDER)
    assert newest is not None
    assert newest.name == "checkpoint-9"
    assert (newest / "optimizer.pt").read_bytes() == b"preference_checkpoints 9 optimizer.pt"
    # A worker that took over hands out what is new to it, and not what it was given.
    with CheckpointUploader(exchange, "runs/r", there):
        checkpoint(there, PREFERENCE_FOLDER, 12)
    third = last_complete(next_worker(exchange, tmp_path / "third"), PREFERENCE_FOLDER)
    assert third is not None
    assert third.name == "checkpoint-12"

"""Releases in a state without the cycles behind them, and the switch from one to the next."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from flywheel.artifacts.adapter_folder import MANIFEST, verify_adapter, write_manifest
from flywheel.artifacts.base_folder import BaseModel
from flywheel.ports.model_server import BASE_RELEASE
from flywheel.state import Cycle, State
from flywheel.workload.model import Workload
from tests.fakes.state_rows import LINEAGE

__all__ = ["recorded", "switch", "untrained_adapter"]


def recorded(
    state: State, workload: Workload, release: str, root: Path, adapter: Path | None = None
) -> Path:
    """Record a release as trained and return its folder, a copy of ``adapter`` where one is given."""
    folder = root / release
    if adapter is not None:
        shutil.copytree(adapter, folder)
    else:
        folder.mkdir(parents=True)
        (folder / "adapter_model.safetensors").write_bytes(release.encode())
        write_manifest(folder, {"base_digest": "b" * 64})
    base = json.loads((folder / MANIFEST).read_text())["base_digest"]
    cycle = (state.cycles.of(workload.id) or [_open_cycle(state, workload)])[0]
    state.releases.record(
        release,
        cycle=cycle.ref,
        attempt=1,
        manifest_digest=verify_adapter(folder),
        adapter=str(folder),
        dataset_hash="d" * 64,
        lineage=replace(LINEAGE, base_digest=base),
    )
    return folder


def untrained_adapter(folder: Path, base: BaseModel, *, seed: int) -> Path:
    """Write an adapter of one layer that a model server takes, without the time of a training."""
    import numpy as np
    from safetensors.numpy import save_file

    config = {"r": 2, "bias": "none", "init_lora_weights": True, "peft_type": "LORA"}
    config |= {"lora_alpha": 4, "target_modules": ["q_proj"]}
    size = json.loads((base.folder / "config.json").read_text())["hidden_size"]
    rng = np.random.default_rng(seed)
    layer = "base_model.model.model.layers.0.self_attn.q_proj"
    weights = {
        f"{layer}.lora_A.weight": rng.normal(size=(2, size)).astype("float32"),
        f"{layer}.lora_B.weight": rng.normal(size=(size, 2)).astype("float32"),
    }
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    save_file(weights, folder / "adapter_model.safetensors")
    write_manifest(folder, {"base_digest": base.digest})
    return folder


def switch(state: State, workload_id: str, release: str) -> None:
    """Make a release the champion in one transaction, as a promotion does."""
    before = state.routes.champion(workload_id)
    with state.leases.hold(f"champion:{workload_id}") as lease, state.transaction():
        state.routes.switch_champion(
            workload_id, expected=before, release=release, reason="a test", lease=lease
        )
        state.releases.change(release, status="champion")
        if before != BASE_RELEASE:
            state.releases.change(before, status="retired")


def _open_cycle(state: State, workload: Workload) -> Cycle:
    return state.cycles.open(
        workload,
        trigger="manual",
        opened_by="system",
        reason="a test asks for it",
        watermark=state.clock.now(),
        snapshot=workload.model_dump(mode="json", by_alias=True),
    )

"""What a plan is made from: the device this process may use, and the size of a base model."""

import importlib.util
import json
import math
import os
from pathlib import Path
from typing import Any

from flywheel.artifacts.base_folder import own_precision
from flywheel.io.records import JsonObject
from flywheel.train.plan import Hardware, ModelSize

__all__ = ["memory_bytes", "model_size", "read_hardware", "release_memory"]

_AMPERE = 8  # first generation with bfloat16 and FlashAttention 2
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def read_hardware() -> Hardware:
    """Look at the first GPU that this process sees, or at the machine where there is none."""
    import torch

    if not torch.cuda.is_available():
        return Hardware("cpu", _machine_bytes(), name=f"{os.cpu_count()} CPU cores")
    facts = torch.cuda.get_device_properties(0)
    recent = facts.major >= _AMPERE
    return Hardware(
        "cuda",
        int(facts.total_memory),
        bfloat16=recent,
        flash_attention=recent and importlib.util.find_spec("flash_attn") is not None,
        name=str(facts.name),
    )


def model_size(folder: Path) -> ModelSize:
    """Read the size of a base model from its configuration and the headers of its weights."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    shapes = [
        entry["shape"]
        for path in folder.glob("*.safetensors")
        for name, entry in _header(path).items()
        if name != "__metadata__"
    ]
    return ModelSize(
        parameters=sum(math.prod(shape) for shape in shapes),
        hidden=config["hidden_size"],
        layers=config["num_hidden_layers"],
        vocabulary=config["vocab_size"],
        precision=own_precision(folder),
        caps_attention=config.get("attn_logit_softcapping") is not None,
    )


def memory_bytes() -> int:
    """Return the most memory used so far: CUDA's own count on a GPU, the process's without one."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def release_memory() -> None:
    """Free what an ended training left in this process."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _header(path: Path) -> JsonObject:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header: dict[str, Any] = json.loads(file.read(size))
    return header


def _machine_bytes() -> int:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = _CGROUP_LIMIT.read_text().strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total

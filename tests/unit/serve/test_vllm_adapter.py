"""Adapters that vLLM cannot serve are refused with the field named, before vLLM hears of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from flywheel.errors import IntegrityError
from flywheel.serve.vllm_adapter import check_adapter

_A, _B = "base_model.model.layers.0.q_proj.lora_A.weight", "layers.0.q_proj.lora_B.weight"


def adapter(folder: Path, *, weights: tuple[str, ...] = (_A, _B), **changes: object) -> Path:
    """Write an adapter of one layer; ``changes`` go into its configuration."""
    config = {"r": 8, "bias": "none", "init_lora_weights": True, **changes}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    save_file({name: np.zeros((2, 2), "float32") for name in weights}, folder / _FILE)
    return folder


_FILE = "adapter_model.safetensors"


def test_plain_lora_passes(tmp_path: Path):
    """LoRA on linear layers is what vLLM serves."""
    check_adapter(adapter(tmp_path))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"bias": "all"}, "bias"),
        ({"lora_bias": True}, "lora_bias"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights"),
        ({"rank_pattern": {"q_proj": 4}}, "rank_pattern"),
        ({"use_qalora": True}, "use_qalora"),
        ({"layer_replication": [[0, 1]]}, "layer_replication"),
    ],
)
def test_field_is_named(tmp_path: Path, changes: dict[str, object], field: str):
    """Each option that vLLM refuses or misreads stops the load with its name."""
    with pytest.raises(IntegrityError, match=field):
        check_adapter(adapter(tmp_path, **changes))


def test_trained_head_is_named(tmp_path: Path):
    """An adapter that carries the output head is not served."""
    with pytest.raises(IntegrityError, match="lm_head"):
        check_adapter(adapter(tmp_path, weights=(_A, "base_model.lm_head.weight")))


@pytest.mark.parametrize("content", [b"", b"\xff" * 32, b"\x08\x00\x00\x00\x00\x00\x00\x00no json"])
def test_file_that_is_no_safetensors_is_refused(tmp_path: Path, content: bytes):
    """A broken header is an error of the adapter, whatever it holds."""
    (adapter(tmp_path) / _FILE).write_bytes(content)
    with pytest.raises(IntegrityError, match="no readable adapter"):
        check_adapter(tmp_path)

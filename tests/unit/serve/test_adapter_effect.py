"""An adapter that cannot change an answer is refused before it is loaded."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from flywheel.artifacts.adapter_folder import write_manifest
from flywheel.artifacts.base_folder import load_base
from flywheel.errors import IntegrityError
from flywheel.serve.adapter_effect import check_effect, weight_names
from flywheel.serve.local_server import LocalModelServer
from tests.fakes.micro_base import micro_base

_LAYER = "base_model.model.model.layers.0.self_attn.q_proj"
_FILE = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def server():
    """The micro base, served."""
    return LocalModelServer(micro_base().folder)


def adapter(folder: Path, layer: str = _LAYER, value: float = 0.5) -> Path:
    """Write an adapter of one layer; ``value`` fills its second matrix."""
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config | {"task_type": "CAUSAL_LM"}))
    weights = {"A": np.ones((2, 64), "float32"), "B": np.full((64, 2), value, "float32")}
    named = {f"{layer}.lora_{side}.weight": values for side, values in weights.items()}
    save_file(named, folder / _FILE)
    write_manifest(folder, {"base_digest": micro_base().digest})
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"value": 0.0}, "does nothing"),
        ({"value": float("nan")}, "lora_B.weight holds values that are no numbers"),
        ({"value": float("inf")}, "no numbers"),
        ({"layer": "base_model.model.model.layers.7.self_attn.q_proj"}, r"no model\.layers\.7"),
        ({"layer": "base_model.model.transformer.h.0.attn"}, r"has no transformer\.h\.0\.attn"),
    ],
)
def test_adapter_that_does_nothing_is_not_loaded(tmp_path, server, changes, message):
    """Zeros, no numbers, and weights that match nothing: each is refused, and nothing changes."""
    with pytest.raises(IntegrityError, match=message):
        server.load("r1", adapter(tmp_path, **changes))
    assert server.releases() == ("base",)


def test_names_are_those_of_the_bases_files(tmp_path):
    """A server of its own process knows the modules by the base's files."""
    modules = weight_names(load_base(micro_base().folder))
    check_effect(adapter(tmp_path), modules)
    weights = load_file(adapter(tmp_path) / _FILE)
    strange = {name.replace("q_proj", "qkv"): values for name, values in weights.items()}
    save_file(strange, tmp_path / _FILE)
    with pytest.raises(IntegrityError, match="qkv"):
        check_effect(tmp_path, modules)
    shutil.copyfile(tmp_path / "adapter_config.json", tmp_path / _FILE)
    with pytest.raises(IntegrityError, match="no readable adapter"):
        check_effect(tmp_path, modules)

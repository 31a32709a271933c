"""What a plan is made from, read from a real base model and from this machine."""

import pytest

from flywheel.train.hardware import memory_bytes, model_size, read_hardware
from tests.fakes.micro_base import MICRO, micro_base


def test_size_is_read_from_the_headers_of_the_weights():
    """Parameters are counted without loading them."""
    from safetensors.torch import load_file

    folder = micro_base().folder
    weights = load_file(folder / "model.safetensors")
    found = model_size(folder)
    assert found.parameters == sum(weight.numel() for weight in weights.values())
    assert (found.hidden, found.layers) == (MICRO.hidden, MICRO.layers)
    assert found.precision == "float32"


def test_a_machine_without_gpu_plans_with_its_main_memory():
    """Memory is the machine's, or what its container may use of it."""
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    found = read_hardware()
    assert found.device == "cpu"
    assert memory_bytes() < found.memory_bytes < 2**44

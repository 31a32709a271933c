"""A repair of vLLM's LoRA on CPUs: rows without an adapter get none.

In a batch that mixes adapters with the base itself, vLLM 0.32 marks the base's rows with index -1,
which its PyTorch kernels read as the last adapter slot: the base answers with somebody's adapter.
vLLM loads this file into each of its workers (``--worker-extension-cls``); the kernels of GPUs need
no repair. Where a later vLLM has renamed what is repaired here, it does not start.
"""

from typing import Any

from vllm.lora.ops import torch_ops
from vllm.lora.ops.torch_ops import lora_ops
from vllm.lora.punica_wrapper import punica_cpu

_shrink = lora_ops.bgmv_shrink


def bgmv_shrink(
    inputs: Any,
    lora_a_weights: Any,
    output_tensor: Any,
    lora_indices_tensor: Any,
    scaling: float = 1.0,
) -> None:
    """Multiply by each row's first matrix; a row without an adapter comes out as zeros."""
    _shrink(inputs, lora_a_weights, output_tensor, lora_indices_tensor, scaling)
    output_tensor[lora_indices_tensor < 0] = 0


for module in (lora_ops, torch_ops, punica_cpu):
    if module.bgmv_shrink is not _shrink:
        msg = f"{module.__name__}.bgmv_shrink is not the function that is repaired"
        raise ImportError(msg)
    module.bgmv_shrink = bgmv_shrink


class LoraRows:
    """Nothing but the occasion on which a worker loads this file."""

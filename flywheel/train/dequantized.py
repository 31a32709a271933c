"""Four-bit layers that keep their dequantized weights on a CPU.

A layer of bitsandbytes dequantizes its weights in every pass forward and again in every pass back: a
third of a step of a small base on a CPU. The weights of the base never change in a training, so that
once is enough. The numbers are the same bit for bit.
"""

from functools import partial
from typing import Any

__all__ = ["keep_dequantized"]


def keep_dequantized(model: Any) -> int:
    """Let the frozen four-bit layers of a model on a CPU compute with weights dequantized once.

    Returns:
        How many layers do.
    """
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn.modules import Linear4bit

    layers: list[Any] = [layer for layer in model.modules() if isinstance(layer, Linear4bit)]
    for layer in layers:
        weight: Any = layer.weight
        dequantized = dequantize_4bit(weight.data, weight.quant_state).to(layer.compute_dtype)
        bias = None if layer.bias is None else layer.bias.detach().to(layer.compute_dtype)
        layer.forward = partial(_forward, dequantized, bias)
    return len(layers)


def _forward(weight: Any, bias: Any, inputs: Any) -> Any:
    # As the layer's own: computed in its precision, returned in that of the input.
    import torch

    return torch.nn.functional.linear(inputs.to(weight.dtype), weight, bias).to(inputs.dtype)

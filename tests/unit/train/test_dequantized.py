"""Four-bit layers that are dequantized once: the same numbers, and the same gradient."""

import pytest

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [False, True])
def test_a_layer_computes_bit_for_bit_as_before(dtype, bias):
    """Forward and back, with and without a bias; the layer without a gradient as well."""
    from bitsandbytes.nn import Linear4bit

    from flywheel.train.dequantized import keep_dequantized

    torch.manual_seed(1)
    layer = Linear4bit(
        64, 96, bias=bias, compute_dtype=dtype, quant_type="nf4", compress_statistics=False
    )
    layer = layer.to(dtype).to("cpu").requires_grad_(False)
    layer.weight = layer.weight.to("cpu")
    text, gradient = torch.randn(3, 5, 64, dtype=dtype), torch.randn(3, 5, 96, dtype=dtype)

    def both():
        inputs = text.clone().requires_grad_(True)
        outputs = layer(inputs)
        outputs.backward(gradient)
        return layer(text), outputs.detach(), inputs.grad

    before = both()
    assert keep_dequantized(torch.nn.Sequential(layer, torch.nn.ReLU())) == 1
    with torch.profiler.profile() as profile:
        after = both()
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert not [event.key for event in profile.key_averages() if "4bit" in event.key]

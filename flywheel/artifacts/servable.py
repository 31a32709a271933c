"""Which LoRA adapters vLLM can serve: asked by the trainer before it starts, by a server at load."""

from collections.abc import Iterable, Mapping
from typing import Any

from flywheel.errors import ConfigurationError

__all__ = ["LORA_RANKS", "serving_rank", "unservable"]

# Values that vLLM takes for --max-lora-rank; it reserves memory for the rank it is started with.
LORA_RANKS = (8, 16, 32, 64, 128, 256)
_NOT_SERVED = ("lm_head", "embed_tokens", "modules_to_save", "lora_magnitude_vector")
# Fields of PEFT's configuration that change what an adapter means in ways that vLLM does not know.
_NOT_KNOWN = ("alora_invocation_tokens", "layer_replication", "use_bdlora", "use_qalora")


def serving_rank(rank: int) -> int:
    """Return the ``--max-lora-rank`` that a server needs for an adapter of this rank."""
    fitting = [served for served in LORA_RANKS if rank <= served]
    if not fitting:
        raise ConfigurationError(
            f"Rank {rank} cannot be served.",
            next_step=f"set training.rank to at most {LORA_RANKS[-1]}",
        )
    return fitting[0]


def unservable(config: Mapping[str, Any], weights: Iterable[str]) -> list[str]:
    """Say why vLLM could not serve an adapter; empty where it can.

    Args:
        config: PEFT's configuration, as ``adapter_config.json`` has it.
        weights: names of the adapter's weights.
    """
    init = config.get("init_lora_weights", True)
    broken = {
        "it uses DoRA (use_dora)": config.get("use_dora"),
        "it trains biases (bias, lora_bias)": config.get("bias", "none") != "none"
        or config.get("lora_bias"),
        "it saves whole modules (modules_to_save)": config.get("modules_to_save"),
        f"its init is {init!r} (init_lora_weights)": init is not True,
        "its rank differs by module (rank_pattern)": config.get("rank_pattern"),
    }
    broken |= {f"it uses {field}": config.get(field) for field in _NOT_KNOWN}
    problems = [text for text, is_broken in broken.items() if is_broken]
    problems += [
        f"it trains {name}"
        for name in weights
        if ".lora_" not in name or any(part in name for part in _NOT_SERVED)
    ]
    return problems

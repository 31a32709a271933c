"""Whether vLLM can serve an adapter, asked before any time is spent on training it."""

from collections.abc import Iterable
from typing import Any

from flywheel.errors import ConfigurationError

__all__ = ["LORA_RANKS", "check_servable", "serving_rank"]

# Values that vLLM takes for --max-lora-rank; it reserves memory for the rank it is started with.
LORA_RANKS = (8, 16, 32, 64, 128, 256)
_NOT_SERVED = ("lm_head", "embed_tokens", "modules_to_save", "lora_magnitude_vector")


def serving_rank(rank: int) -> int:
    """Return the ``--max-lora-rank`` that a server needs for an adapter of this rank."""
    fitting = [served for served in LORA_RANKS if rank <= served]
    if not fitting:
        raise ConfigurationError(
            f"Rank {rank} cannot be served.",
            next_step=f"set training.rank to at most {LORA_RANKS[-1]}",
        )
    return fitting[0]


def check_servable(config: Any, trained: Iterable[str]) -> int:
    """Check a PEFT configuration and the names of the trained weights; return the rank to serve.

    Raises:
        ConfigurationError: vLLM would refuse the adapter.
    """
    problems = [
        text
        for text, broken in (
            ("it uses DoRA", config.use_dora),
            ("it trains biases", config.bias != "none" or config.lora_bias),
            ("it saves whole modules", bool(config.modules_to_save)),
            (f"its init is {config.init_lora_weights!r}", config.init_lora_weights is not True),
            ("its rank differs by module", bool(config.rank_pattern)),
        )
        if broken
    ]
    problems += [
        f"it trains {name}"
        for name in trained
        if ".lora_" not in name or any(part in name for part in _NOT_SERVED)
    ]
    if problems:
        raise ConfigurationError(
            f"vLLM could not serve this adapter: {'; '.join(problems[:3])}.",
            next_step="train plain LoRA on the linear layers",
        )
    return serving_rank(config.r)

"""Whether vLLM can serve an adapter, asked before any time is spent on training it."""

from collections.abc import Iterable
from typing import Any

from flywheel.artifacts.servable import LORA_RANKS, serving_rank, unservable
from flywheel.errors import ConfigurationError

__all__ = ["LORA_RANKS", "check_servable", "serving_rank"]


def check_servable(config: Any, trained: Iterable[str]) -> int:
    """Check a PEFT configuration and the names of the trained weights; return the rank to serve.

    Raises:
        ConfigurationError: vLLM would refuse the adapter.
    """
    problems = unservable(vars(config), trained)
    if problems:
        raise ConfigurationError(
            f"vLLM could not serve this adapter: {'; '.join(problems[:3])}.",
            next_step="train plain LoRA on the linear layers",
        )
    return serving_rank(config.r)

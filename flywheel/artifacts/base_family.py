"""`check_family`: whether a base model's family is one that can be trained and served here.

Asked of the configuration alone, before a weight is read.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flywheel.errors import ConfigurationError

__all__ = ["check_family", "check_family_in", "check_structure", "unsupported_fields"]

_SIZES = ("hidden_size", "num_hidden_layers", "vocab_size", "max_position_embeddings")
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")


def unsupported_fields(config: Mapping[str, Any]) -> list[str]:
    """Say, by the fields of ``config.json``, why a base cannot be used; empty where it can."""
    problems = []
    if "text_config" in config:
        problems.append("text_config: it reads more than text; take the family's model of texts")
    elif missing := [name for name in _SIZES if not isinstance(config.get(name), int)]:
        problems.append(f"{', '.join(missing)}: not stated, or no number")
    if config.get("is_encoder_decoder"):
        problems.append("is_encoder_decoder: it is no model that continues a text")
    if config.get("quantization_config"):
        problems.append("quantization_config: it is quantized already; take the unquantized one")
    problems += [
        f"{name}: adapters on experts are not trained"
        for name in _EXPERTS
        if (config.get(name) or 0) > 1
    ]
    if config.get("auto_map"):
        problems.append("auto_map: it needs code of its own, which is not run")
    return problems


def check_family(name: str, config: Mapping[str, Any]) -> None:
    """Raise ConfigurationError, naming the fields, where a base of this configuration is no use."""
    problems = unsupported_fields(config)
    if problems:
        raise ConfigurationError(
            f"The base model {name} cannot be used: config.json: {'; '.join(problems)}.",
            next_step="choose a decoder of texts, such as Llama, Qwen 3, Mistral, Phi-4, Gemma 3 "
            "(text) or SmolLM",
        )


def check_family_in(folder: Path, name: str) -> None:
    """Check the family of the base in a folder, see `check_family`."""
    check_family(name, json.loads((folder / "config.json").read_text(encoding="utf-8")))


def check_structure(name: str, model: Any) -> None:
    """Raise ConfigurationError where a model's head or body is not where it is looked for.

    Args:
        name: of the base, for the error.
        model: of transformers; its weights may be on the device ``meta``.
    """
    head = model.get_output_embeddings()
    at_home = hasattr(model, "model") and head is not None and head is getattr(model, "lm_head", 0)
    if not at_home or head.bias is not None:
        raise ConfigurationError(
            f"The base model {name} cannot be used: config.json: architectures: "
            f"{type(model).__name__} keeps its body or its output head elsewhere than a Llama-type "
            "model does.",
            next_step="choose a Llama-type base, such as Llama, Qwen 3, Mistral, Phi-4, Gemma 3 "
            "(text) or SmolLM",
        )

"""A base model's folder, read into memory for serving."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flywheel.artifacts.base_folder import load_base
from flywheel.errors import ConfigurationError

__all__ = ["LoadedModel", "load_model"]


@dataclass(frozen=True)
class LoadedModel:
    """Model, tokenizer, the tokenizer again as llguidance reads it, and the base's digest."""

    model: Any
    tokenizer: Any
    ll_tokenizer: Any
    digest: str


def load_model(folder: Path, precision: str) -> LoadedModel:
    """Load a base model's folder at ``precision``, after a check of its files."""
    import llguidance.hf
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    base = load_base(folder, verify=True)
    # The bar would appear between the answers that a command prints.
    hide_progress: Any = logging.disable_progress_bar
    hide_progress()
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, precision))
        tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The base model in {folder} cannot be loaded: {error}",
            next_step="remove the folder and build it again with `flywheel base build`",
        ) from error
    _check_head(model)
    return LoadedModel(
        model=model.eval().requires_grad_(False),
        tokenizer=tokenizer,
        ll_tokenizer=llguidance.hf.from_tokenizer(tokenizer, n_vocab=model.config.vocab_size),
        digest=base.digest,
    )


def _check_head(model: Any) -> None:
    # Scores are read from the output rows directly; a model that changes them afterwards would
    # be measured wrongly.
    changes = ("final_logit_softcapping", "logit_scale", "logits_scaling")
    found = [name for name in changes if getattr(model.config, name, None) not in (None, 1, 1.0)]
    head = model.get_output_embeddings()
    if found or head is None or head is not model.lm_head or head.bias is not None:
        raise ConfigurationError(
            f"{type(model).__name__} computes its scores in a way that the local server does not.",
            next_step="serve it with vLLM, or choose a Llama-type base",
        )

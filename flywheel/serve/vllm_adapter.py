"""Whether an adapter's folder is one that vLLM can serve: looked at before vLLM hears of it."""

import json
import struct
from pathlib import Path

from flywheel.artifacts.servable import unservable
from flywheel.errors import IntegrityError

__all__ = ["check_adapter"]

_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_LONGEST_HEADER = 100_000_000


def check_adapter(folder: Path) -> None:
    """Raise IntegrityError, naming the field, where vLLM would refuse or misread an adapter."""
    try:
        config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        names = _tensor_names(folder / _WEIGHTS)
        problems = unservable(config, names)
    except (OSError, ValueError, AttributeError, struct.error) as error:
        raise IntegrityError(
            f"{folder} holds no readable adapter: {error}",
            next_step="restore the folder or train the adapter again",
        ) from error
    if problems:
        raise IntegrityError(
            f"vLLM cannot serve the adapter in {folder}: {'; '.join(problems[:3])}.",
            next_step="train plain LoRA on the linear layers",
        )


def _tensor_names(file: Path) -> list[str]:
    # The header of a safetensors file: its length in eight bytes, then JSON.
    with file.open("rb") as content:
        (length,) = struct.unpack("<Q", content.read(8))
        if length > _LONGEST_HEADER:
            msg = f"{file.name} begins with no header"
            raise ValueError(msg)
        return [name for name in json.loads(content.read(length)) if name != "__metadata__"]

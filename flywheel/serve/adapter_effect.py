"""`check_effect`: whether an adapter's weights can change any answer, looked at before it is loaded.

PEFT and vLLM load an adapter whose weights match nothing, and answer as the base does.
"""

from collections.abc import Collection
from pathlib import Path

from flywheel.artifacts.base_folder import BaseModel
from flywheel.errors import IntegrityError

__all__ = ["check_effect", "weight_names"]

_WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_NAMED = 3


def check_effect(folder: Path, modules: Collection[str]) -> None:
    """Raise IntegrityError where an adapter matches nothing, is not finite, or is zero throughout.

    Args:
        folder: of the adapter.
        modules: names of the base model's modules with weights.
    """
    from safetensors import SafetensorError, safe_open

    zero: dict[str, bool] = {}
    try:
        with safe_open(folder / _WEIGHTS, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 - not a mapping
                values = weights.get_tensor(name)
                if not bool(values.isfinite().all()):
                    raise _useless(folder, f"{name} holds values that are no numbers")
                module = name.removeprefix(_PREFIX).partition(".lora_")[0]
                # The product of both matrices is zero where one of them is.
                zero[module] = zero.get(module, False) or not bool(values.any())
    except (OSError, SafetensorError) as error:
        raise IntegrityError(
            f"{folder} holds no readable adapter: {error}",
            next_step="restore the folder or train the adapter again",
        ) from error
    strange = sorted(zero.keys() - set(modules))
    if strange:
        raise _useless(folder, f"the base model has no {', '.join(strange[:_NAMED])}")
    if all(zero.values()):
        raise _useless(folder, "it does nothing: its weights are zero, or there are none")


def weight_names(base: BaseModel) -> set[str]:
    """Return the names of the modules that the files of a base hold weights of."""
    from safetensors import safe_open

    names: set[str] = set()
    for file in base.manifest.files if base.manifest else ():
        if file.path.endswith(".safetensors"):
            with safe_open(base.folder / file.path, framework="np") as weights:
                names |= {name.rpartition(".")[0] for name in weights.keys()}  # noqa: SIM118
    return names


def _useless(folder: Path, problem: str) -> IntegrityError:
    return IntegrityError(
        f"The adapter in {folder} is not served: {problem}.",
        next_step="train it again, or load it on the base model that it was trained on",
    )

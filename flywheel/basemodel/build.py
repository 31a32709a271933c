"""From a name (tiny, smollm2, a folder or a hub name) to a base model in the cache."""

from collections.abc import Callable, Sequence
from pathlib import Path

from flywheel.artifacts.base_folder import BaseModel
from flywheel.basemodel.ready_made import import_model, import_smollm2
from flywheel.basemodel.tiny import TINY, TinySize, build_tiny
from flywheel.workload.model import Workload

__all__ = ["build_base"]


def build_base(
    name: str,
    *,
    workload: Workload,
    texts: Sequence[str] = (),
    cache: Path,
    seed: int = 0,
    on_progress: Callable[[str], None] = lambda _line: None,
    size: TinySize = TINY,
) -> BaseModel:
    """Build or find the base model called ``name``.

    Args:
        name: ``tiny``, ``smollm2``, a folder with a Hugging Face model, or a hub name.
        workload: whose labels and prompt the tiny base is made for; the others ignore it.
        texts: unlabeled inputs that the tiny base is pre-trained on; the others ignore them.
        cache: folder that holds the built bases.
        seed: of every random choice.
        on_progress: told one line at a time.
        size: measures of the tiny base.
    """
    if name == "tiny":
        return build_tiny(
            workload, texts, cache=cache, seed=seed, on_progress=on_progress, size=size
        )
    if name == "smollm2":
        return import_smollm2(cache, on_progress=on_progress)
    return import_model(name, cache, on_progress=on_progress)

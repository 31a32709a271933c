"""The tiny base: a small Llama built on the spot for one workload, from unlabeled text.

Labels, and spare labels for later, have tokens of their own whose output rows are orthogonal and
large: an adapter on the frozen base could not tell small random rows apart.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from flywheel.artifacts.base_folder import BaseModel, cached_folder, inputs_digest
from flywheel.basemodel import initial_weights, pretrain, surfaces, tokenizer, vectors
from flywheel.basemodel.fit import check_tiny_fits
from flywheel.errors import DataError
from flywheel.workload.chat_prompt import user_template
from flywheel.workload.model import Workload
from flywheel.workload.prompt import render_prompt

__all__ = ["TINY", "TinySize", "build_tiny"]

_FEWEST_TEXTS = 20
_CODE: tuple[ModuleType, ...] = (initial_weights, pretrain, surfaces, tokenizer, vectors)


@dataclass(frozen=True)
class TinySize:
    """Measures of the tiny base and of its pre-training."""

    hidden: int = 256
    layers: int = 2
    heads: int = 4
    intermediate: int = 512
    vocabulary: int = 4000
    reserved: int = 32
    positions: int = 4096
    steps: int = 80
    batch: int = 32
    learning_rate: float = 1e-3


TINY = TinySize()


def build_tiny(
    workload: Workload,
    texts: Sequence[str],
    *,
    cache: Path,
    seed: int,
    on_progress: Callable[[str], None],
    size: TinySize = TINY,
) -> BaseModel:
    """Build the tiny base of a workload, or find it in the cache.

    Only texts, label names and descriptions go in: no labeled example.

    Raises:
        ConfigurationError: the task has neither labels nor listed values.
        DataError: there are too few texts.
    """
    shortcoming = check_tiny_fits(workload)
    if shortcoming is not None:
        on_progress(shortcoming)
    texts = sorted({text.strip() for text in texts} - {""})
    if len(texts) < _FEWEST_TEXTS:
        raise DataError(
            f"The tiny base needs at least {_FEWEST_TEXTS} different texts and got {len(texts)}.",
            next_step="import the workload's records or labeled texts first (`flywheel import`, then "
            "`flywheel ingest`), or give unlabeled inputs with --texts FILE",
        )
    inputs = inputs_digest(
        workload=workload.id,
        prompt=user_template(workload.prompt),
        labels=[label.model_dump() for label in workload.taxonomy.labels]
        if workload.taxonomy
        else [],
        schema=workload.output_schema,
        texts=texts,
        seed=seed,
        size=asdict(size),
        code=[inspect.getsource(module) for module in _CODE],
    )

    def make(folder: Path) -> Mapping[str, Any]:
        return _make(workload, texts, folder, seed=seed, on_progress=on_progress, size=size)

    return cached_folder(cache, f"tiny-{workload.id}-{inputs}", make)


def _make(
    workload: Workload,
    texts: Sequence[str],
    folder: Path,
    *,
    seed: int,
    on_progress: Callable[[str], None],
    size: TinySize,
) -> Mapping[str, Any]:
    words = vectors.WordVectors()
    labels = surfaces.label_surfaces(workload)
    reserved = surfaces.reserved_surfaces(size.reserved if labels else 0, labels)
    segments = surfaces.answer_segments(workload)
    # What an answer token means is known for labels and values, and open for the spare ones.
    meanings = {labels[x.id]: f"{x.name} {x.description}" for x in _labels(workload)}
    meanings |= {segment: segment for segment in segments} | dict.fromkeys(reserved, "")
    prompts = [render_prompt(workload, text) for text in texts]
    on_progress(f"tokenizer from {len(texts):,} texts")
    fast = tokenizer.train_tokenizer(
        [prompt.text for prompt in prompts],
        words.words(size.vocabulary),
        list(meanings),
        vocabulary=size.vocabulary,
    )
    fast.model_max_length = size.positions
    on_progress("initial weights from word vectors")
    model = initial_weights.build_model(
        fast,
        initial_weights.Shape(
            hidden=size.hidden,
            layers=size.layers,
            heads=size.heads,
            intermediate=size.intermediate,
            positions=size.positions,
        ),
        prompts=prompts,
        fixed=render_prompt(workload, ""),
        meanings=meanings,
        words=words,
        seed=seed,
    )
    pretrain.pretrain(
        model,
        fast,
        prompts,
        pretrain.Schedule(size.steps, size.batch, size.learning_rate, seed),
        answers=list(meanings),
        on_progress=on_progress,
    )
    on_progress("rounding the weights to NF4 and saving")
    initial_weights.round_to_nf4(model)
    model.save_pretrained(folder)
    tokenizer.save_tokenizer(fast, folder)
    return {
        "name": "tiny",
        "surfaces": labels,
        "reserved": list(reserved),
        "seed": seed,
        "source": f"built here for {workload.id} from {len(texts):,} of its texts",
    }


def _labels(workload: Workload) -> Sequence[Any]:
    return workload.taxonomy.labels if workload.taxonomy else ()

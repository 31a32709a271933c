"""ModelServer in this process: transformers and PEFT, one base, many adapters.

The prompt comes from ``flywheel.workload.prompt``, the mask from ``mask``, the loop from ``decoding``; this
module loads, batches and reads answers back.
"""

import math
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flywheel.artifacts.adapter_folder import verify_adapter
from flywheel.artifacts.precision import ChosenPrecision, served_precision
from flywheel.errors import IntegrityError, NotFoundError, RefusedError
from flywheel.io.compiler import without_compiler
from flywheel.ports.model_server import BASE_RELEASE, Answer, Shots
from flywheel.serve.adapter_effect import check_effect
from flywheel.serve.decoding import decode_batch
from flywheel.serve.loading import load_model
from flywheel.serve.mask import AnswerMask, grammar_of
from flywheel.serve.reading import check_fit, read_answer
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.prompt import input_ids

__all__ = ["LocalModelServer"]

_BATCH_TOKENS = 4096
_BATCH_ROWS = 128
_SHORTEST_HEAD = 16


class LocalModelServer:
    """Serve one base model and adapters on it from memory.

    Args:
        base: folder of the base model, as ``flywheel base build`` leaves it.
        precision: of the weights in memory; ``own`` is that of the base's size. Evaluation and
            traffic use the same server, so the gate measures at the precision that is served.
    """

    def __init__(self, base: Path, *, precision: ChosenPrecision = "own") -> None:
        self._lock = threading.RLock()
        loaded = load_model(base, served_precision(precision, base))
        self._base_digest, self._model = loaded.digest, loaded.model
        self._tokenizer, self._ll_tokenizer = loaded.tokenizer, loaded.ll_tokenizer
        self._positions = int(self._model.config.max_position_embeddings)
        self._modules = {name for name, _ in self._model.named_modules()}
        self._window = _window(self._model)
        self._peft: Any = None
        self._contents: dict[str, str] = {}
        self._masks: dict[str, AnswerMask] = {}

    @property
    def weight_bytes(self) -> int:
        """Bytes of the base's weights in memory, adapters left out."""
        with self._lock:
            if self._peft is not None:
                raise RefusedError(
                    "The size of a base is read before an adapter is loaded.",
                    next_step="read it first",
                )
            return int(self._model.get_memory_footprint())

    def load(self, release: str, adapter: Path) -> None:
        """Load an adapter folder under a name and warm it with one answer."""
        with self._lock:
            if release == BASE_RELEASE:
                raise RefusedError(
                    "The name base belongs to the base model.", next_step="choose another name"
                )
            content = verify_adapter(adapter, base_digest=self._base_digest)
            loaded = self._contents.get(release)
            if loaded == content:
                return
            if loaded is not None:
                raise RefusedError(
                    f"The release {release} is loaded with other content.",
                    next_step="give a new adapter a new name",
                )
            check_effect(adapter, self._modules)
            self._attach(release, adapter)
            self._contents[release] = content

    def unload(self, release: str) -> None:
        """Forget a retired release; an unknown name is not an error."""
        with self._lock:
            if self._contents.pop(release, None) is None:
                return
            if self._contents:
                self._peft.set_adapter(_slot(next(iter(self._contents))), inference_mode=True)
                self._peft.delete_adapter(_slot(release))
            else:
                self._model, self._peft = self._peft.unload(), None

    def releases(self) -> tuple[str, ...]:
        """Name what can answer now, ``base`` included."""
        with self._lock:
            return (BASE_RELEASE, *sorted(self._contents))

    def answer(
        self,
        release: str,
        codec: AnswerCodec,
        inputs: Sequence[str],
        *,
        shots: Shots = (),
    ) -> list[Answer]:
        """Answer each input greedily under the workload's mask, in order.

        ``seconds`` of an answer is its share of the time that its batch took.
        """
        if not inputs:
            return []
        answers: list[Answer | None] = [None] * len(inputs)
        with self._lock, self._active(release) as model:
            ids = input_ids(self._tokenizer, codec, inputs, shots)
            limit = codec.workload.limits.answer_tokens
            check_fit(ids, positions=self._positions, answer_tokens=limit)
            # A window counts the columns of a batch, padding among them: beyond it, rows are alone.
            fits = max(map(len, ids)) + limit <= self._window
            head, head_tokens = self._shared_head(model, ids) if fits else (None, 0)
            for batch in _batches(ids, rows=_BATCH_ROWS if fits else 1):
                started = time.perf_counter()
                decoded = decode_batch(
                    model,
                    self._mask(codec),
                    [ids[index][head_tokens:] for index in batch],
                    end=self._tokenizer.eos_token_id,
                    limit=limit,
                    head=head,
                    head_tokens=head_tokens,
                )
                seconds = (time.perf_counter() - started) / len(batch)
                for index, item in zip(batch, decoded, strict=True):
                    answers[index] = read_answer(
                        self._tokenizer,
                        codec,
                        item.tokens,
                        complete=item.complete,
                        steps=item.steps,
                        seconds=seconds,
                        prompt_tokens=len(ids[index]),
                    )
        return [answer for answer in answers if answer is not None]

    def _attach(self, release: str, adapter: Path) -> None:
        import torch

        with without_compiler():
            from peft import PeftModel

        slot = _slot(release)
        try:
            with warnings.catch_warnings():
                # PEFT still asks transformers by a name that transformers gives up.
                warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
                if self._peft is None:
                    peft = PeftModel.from_pretrained(self._model, adapter, adapter_name=slot)
                    self._peft = peft.eval()
                else:
                    self._peft.load_adapter(adapter, adapter_name=slot)
            self._peft.set_adapter(slot)
            with torch.inference_mode():  # the first pass is slow: not at a client's expense
                self._model(input_ids=torch.tensor([[self._tokenizer.eos_token_id]]))
        except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
            if self._peft is not None and slot in self._peft.peft_config:
                self._peft.delete_adapter(slot)
            raise IntegrityError(
                f"The adapter in {adapter} cannot be loaded: {error}",
                next_step="train it again; plain LoRA on the linear layers is served",
            ) from error

    @contextmanager
    def _active(self, release: str) -> Iterator[Any]:
        import torch

        if release != BASE_RELEASE and release not in self._contents:
            raise NotFoundError(
                f"No release {release} is loaded.",
                next_step=f"load it first; loaded are: {', '.join(self.releases())}",
            )
        with torch.inference_mode():
            if self._peft is None:
                yield self._model
            elif release == BASE_RELEASE:
                with self._peft.disable_adapter():
                    yield self._model
            else:
                self._peft.set_adapter(_slot(release), inference_mode=True)
                yield self._model

    def _shared_head(self, model: Any, ids: list[list[int]]) -> tuple[Any, int]:
        # Worked examples before every input are read once, not once per input.
        import torch
        from transformers import DynamicCache

        first, last = min(ids), max(ids)
        limit = min(len(row) for row in ids) - 1
        count = next((i for i in range(limit) if first[i] != last[i]), limit)
        if len(ids) == 1 or count < _SHORTEST_HEAD:
            return None, 0
        cache = DynamicCache(config=model.config)
        tokens = torch.tensor([first[:count]])
        model.model(input_ids=tokens, past_key_values=cache, use_cache=True)
        return cache, count

    def _mask(self, codec: AnswerCodec) -> AnswerMask:
        # Workloads of one base share a mask exactly where they allow the same answers.
        grammar = grammar_of(codec)
        if grammar not in self._masks:
            self._masks[grammar] = AnswerMask(
                codec, self._ll_tokenizer, self._model.config.vocab_size
            )
        return self._masks[grammar]


def _window(model: Any) -> float:
    # Tokens that the layer with the shortest sight looks back; without end for most models.
    from transformers import DynamicCache

    layers: Any = DynamicCache(config=model.config).layers
    windows = [layer.sliding_window for layer in layers if getattr(layer, "is_sliding", False)]
    return float(min(windows, default=math.inf))


def _batches(ids: Sequence[Sequence[int]], *, rows: int) -> Iterator[list[int]]:
    # Rows of like length go together: little padding, and memory that does not depend on order.
    batch: list[int] = []
    for index in sorted(range(len(ids)), key=lambda i: (len(ids[i]), i)):
        if batch and (len(batch) == rows or (len(batch) + 1) * len(ids[index]) > _BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _slot(release: str) -> str:
    # PEFT makes module names of adapter names, which must not contain dots.
    return "release_" + release.replace("_", "__").replace(".", "_d").replace("/", "_s")

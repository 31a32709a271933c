"""ModelServer on vLLM: adapters loaded at run time, answers under the workload's mask.

Prompts are sent as token ids of our own renderer and answers come back as token ids, so that this
server and the local one read and write the same. The mask is llguidance's on both sides, and the
log-probabilities are those after the mask: confidence has one meaning.
"""

import json
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from flywheel.artifacts.adapter_folder import verify_adapter
from flywheel.artifacts.base_folder import load_base
from flywheel.errors import (
    DataError,
    IntegrityError,
    MeasurementError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    UnservedBaseError,
)
from flywheel.io.records import JsonObject
from flywheel.ports.model_server import BASE_RELEASE, Answer, Shots, base_alias
from flywheel.serve.adapter_effect import check_effect, weight_names
from flywheel.serve.reading import check_fit, read_answer
from flywheel.serve.vllm_adapter import check_adapter
from flywheel.serve.vllm_client import VllmClient, error_message
from flywheel.serve.vllm_facts import how_to_serve
from flywheel.serve.vllm_requests import completion_body, constraint_of
from flywheel.serve.vllm_steps import read_steps
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.prompt import input_ids

__all__ = ["VllmModelServer"]

_PROMPTS = 16  # of one request
_OK, _BAD_REQUEST, _NOT_FOUND, _SERVER_ERROR = 200, 400, 404, 500


class VllmModelServer:
    """Serve one base model and adapters on it from a running vLLM.

    Args:
        base: folder of the base model that vLLM serves; its tokenizer renders the prompts.
        url: ``http://host:port``, without ``/v1``.
        token: vLLM's ``--api-key``.
        in_flight: most requests at a time, of 16 prompts each.
        timeout_seconds: longest wait for one of them.
        adapters_at_once: how many adapters it holds; None: not known here, and not checked.
    """

    def __init__(
        self,
        base: Path,
        url: str,
        token: str | None = None,
        *,
        in_flight: int = 4,
        timeout_seconds: float = 300.0,
        adapters_at_once: int | None = None,
    ) -> None:
        from transformers import AutoTokenizer

        loaded = load_base(base)
        self._name = loaded.name
        self._digest, self._modules = loaded.digest, weight_names(loaded)
        self._tokenizer: Any = AutoTokenizer.from_pretrained(base)
        config = json.loads((base / "config.json").read_text(encoding="utf-8"))
        self._positions = int(config["max_position_embeddings"])
        self._client = VllmClient(
            url, token, connections=in_flight + 1, timeout_seconds=timeout_seconds
        )
        self._requests = ThreadPoolExecutor(in_flight, thread_name_prefix="vllm")
        self._adapters_at_once = adapters_at_once
        self._loading = threading.Lock()
        self._tokenizing = threading.Lock()  # a fast tokenizer is not to be entered twice
        # Never forgotten: a name that was used for one content is not used for another.
        self._contents: dict[str, str] = {}

    def load(self, release: str, adapter: Path) -> None:
        """Load an adapter folder under a name and warm it with one answer."""
        if release == BASE_RELEASE or release.startswith(f"{BASE_RELEASE}-"):
            raise RefusedError(
                "The name base belongs to the base model.", next_step="choose another name"
            )
        with self._loading:
            content = verify_adapter(adapter, base_digest=self._digest)
            check_adapter(adapter)
            check_effect(adapter, self._modules)
            adapters = self._adapters()
            root = adapters.get(release)
            loaded = self._contents.get(release) or (_content(root) if root else None)
            if loaded not in {None, content} or (root and loaded is None):
                raise RefusedError(
                    f"The release {release} is loaded with other content.",
                    next_step="give a new adapter a new name",
                )
            if root is None:
                self._require_room(release, adapters)
                self._attach(release, adapter)
            self._contents[release] = content

    def unload(self, release: str) -> None:
        """Forget a retired release; an unknown name is not an error."""
        body = {"lora_name": release}
        status, payload = self._client.send("POST", "/v1/unload_lora_adapter", body)
        if status not in {_OK, _NOT_FOUND}:
            raise UnavailableError(
                f"vLLM did not unload {release}: {error_message(payload)}",
                next_step="look at `flywheel services logs vllm`",
            )

    def releases(self) -> tuple[str, ...]:
        """Name what can answer now, ``base`` included."""
        return (BASE_RELEASE, *sorted(self._adapters()))

    def answer(
        self,
        release: str,
        codec: AnswerCodec,
        inputs: Sequence[str],
        *,
        shots: Shots = (),
    ) -> list[Answer]:
        """Answer each input greedily under the workload's mask, in order.

        ``seconds`` of an answer is its share of the time that the whole call took. A release that
        this process loaded and vLLM no longer has (it was restarted) raises UnavailableError.
        """
        if not inputs:
            return []
        with self._tokenizing:
            ids = input_ids(self._tokenizer, codec, inputs, shots)
        limit = codec.workload.limits.answer_tokens
        check_fit(ids, positions=self._positions, answer_tokens=limit)
        common = completion_body(self._model(release), limit) | constraint_of(codec)
        started = time.perf_counter()
        choices = self._complete(release, common, ids)
        seconds = (time.perf_counter() - started) / len(ids)
        return [
            self._read(codec, choice, row, seconds)
            for choice, row in zip(choices, ids, strict=True)
        ]

    def close(self) -> None:
        """Let go of threads and connections."""
        self._requests.shutdown(cancel_futures=True)
        self._client.close()

    def _adapters(self) -> Mapping[str, str]:
        # What vLLM says it has: name and folder of each adapter.
        models = self._client.models()
        if not models.serves(self._digest):
            raise UnservedBaseError(
                f"vLLM at {self._client.url} serves {', '.join(sorted(models.bases))}, which is not "
                f"the base model {self._name} ({self._digest[:12]}).",
                next_step=how_to_serve(self._name, self._digest),
            )
        return models.adapters

    def _require_room(self, release: str, adapters: Collection[str]) -> None:
        most = self._adapters_at_once
        if most is not None and len(adapters) >= most:
            raise RefusedError(
                f"vLLM at {self._client.url} holds {len(adapters)} of {most} adapters "
                f"({', '.join(sorted(adapters))}): {release} does not fit.",
                next_step="unload what nothing needs with `flywheel serving`, or start vLLM with a "
                "larger --max-loras (--max-cpu-loras) and set FLYWHEEL_VLLM_MAX_LORAS to it",
            )

    def _attach(self, release: str, adapter: Path) -> None:
        body = {"lora_name": release, "lora_path": str(adapter.absolute())}
        status, payload = self._client.send("POST", "/v1/load_lora_adapter", body)
        if status != _OK and release not in self._adapters():
            # It answered again just now: what it refused is the adapter.
            raise IntegrityError(
                f"vLLM cannot serve the adapter in {adapter}: {error_message(payload)}",
                next_step="train it again as plain LoRA on the linear layers; a rank above the "
                "server's needs a restarted vLLM",
            )
        end = [[self._tokenizer.eos_token_id]]
        try:
            self._complete(release, completion_body(release, 1), end)  # not at a client's expense
        except BaseException:
            self.unload(release)
            raise

    def _model(self, release: str) -> str:
        return base_alias(self._digest) if release == BASE_RELEASE else release

    def _complete(
        self, release: str, common: JsonObject, ids: Sequence[Sequence[int]]
    ) -> list[JsonObject]:
        chunks = list(_chunks(ids))
        if len(chunks) == 1:
            return self._request(release, common, ids)
        futures = [self._requests.submit(self._request, release, common, part) for part in chunks]
        try:
            return [choice for future in futures for choice in future.result()]
        finally:
            _end(futures)

    def _request(
        self, release: str, common: JsonObject, ids: Sequence[Sequence[int]]
    ) -> list[JsonObject]:
        status, payload = self._client.send("POST", "/v1/completions", {**common, "prompt": ids})
        if status == _NOT_FOUND:
            raise self._missing(release)
        if _BAD_REQUEST <= status < _SERVER_ERROR:
            raise DataError(
                f"vLLM refuses the request: {error_message(payload)}",
                next_step="compare its --max-model-len with the workload's limits",
            )
        choices = payload.get("choices") if isinstance(payload, dict) else None
        if status != _OK or not isinstance(choices, list):
            raise UnavailableError(
                f"vLLM answered with {status}: {error_message(payload)}",
                next_step="look at `flywheel services logs vllm`",
            )
        choices = sorted(choices, key=lambda choice: int(choice["index"]))
        if [choice["prompt_token_ids"] for choice in choices] != [list(row) for row in ids]:
            raise MeasurementError(
                f"vLLM answered {len(choices)} prompts that are not the {len(ids)} it was asked.",
                next_step="look at what is between here and vLLM",
            )
        return choices

    def _missing(self, release: str) -> NotFoundError | UnavailableError:
        if release in self._contents:
            return UnavailableError(
                f"vLLM no longer has {release}: it was restarted, or the release was unloaded.",
                next_step="load it again",
            )
        return NotFoundError(
            f"No release {release} is loaded.",
            next_step=f"load it first; loaded are: {', '.join(self.releases())}",
        )

    def _read(
        self, codec: AnswerCodec, choice: JsonObject, prompt: Sequence[int], seconds: float
    ) -> Answer:
        tokens, reason = list(choice["token_ids"]), choice["finish_reason"]
        if reason not in {"stop", "length"}:
            raise UnavailableError(
                f"vLLM broke an answer off ({reason}).",
                next_step="look at `flywheel services logs vllm`",
            )
        complete = bool(tokens) and tokens[-1] == self._tokenizer.eos_token_id
        return read_answer(
            self._tokenizer,
            codec,
            tokens[:-1] if complete else tokens,
            complete=complete,
            steps=read_steps(choice),
            seconds=seconds,
            prompt_tokens=len(prompt),
        )


def _content(root: str) -> str | None:
    # Another process loaded it: its folder says what it is, where this one can see it.
    try:
        return verify_adapter(Path(root))
    except IntegrityError:
        return None


def _chunks(ids: Sequence[Sequence[int]]) -> Iterator[Sequence[Sequence[int]]]:
    for start in range(0, len(ids), _PROMPTS):
        yield ids[start : start + _PROMPTS]


def _end(futures: Sequence["Future[Any]"]) -> None:
    for future in futures:
        future.cancel()
    wait(futures)

"""The same model server over HTTP: within the gateway, asked directly, and behind a gateway.

`python -m bench.gateway_server gateway|direct HOME PORT`. ``direct`` reads a request, asks the same
batcher on the same base and returns the text: no key, no checks, no record. It also takes what the
gateway asks a vLLM (prompts as token ids), so that a gateway of its own process can stand before it.
"""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flywheel.deployment.gateway_program import serve_gateway
from flywheel.gateway.arms import Arm
from flywheel.ports.model_server import base_alias
from flywheel.settings import load_settings
from flywheel.simulation.traffic import pretraining_texts
from flywheel.usecases.gateway_workloads import GatewayWorkloads
from flywheel.wiring import Platform
from flywheel.workload.model import Workload
from flywheel.workload.prompt import input_ids

_BASE = Arm("champion", "base")


def asked_texts() -> list[str]:
    """Return what the clients of the bench ask about; the base model has read all of it."""
    return pretraining_texts(count=2_000, seed=0)


@contextmanager
def _direct(platform: Platform) -> Iterator[Starlette]:
    workloads = GatewayWorkloads(platform, None)
    workloads.renew()

    async def answer(request: Request) -> Response:
        body = msgspec.json.decode(await request.body())
        serving = workloads.find(body["model"])
        assert serving is not None
        result = await serving.batcher.ask(_BASE, body["messages"][-1]["content"])
        return JSONResponse({"content": result.answer.text})

    async def health(_: Request) -> Response:
        return JSONResponse({})

    (workload,) = platform.workloads.values()
    vllm = _VllmRequests(platform, workload)

    async def complete(request: Request) -> Response:
        body = msgspec.json.decode(await request.body())
        serving = workloads.find(workload.id)
        assert serving is not None
        texts = [vllm.text_of(prompt) for prompt in body["prompt"]]
        results = await asyncio.gather(*(serving.batcher.ask(_BASE, text) for text in texts))
        answers = [result.answer.text for result in results]
        return Response(
            msgspec.json.encode({"choices": vllm.choices(body["prompt"], answers)}),
            media_type="application/json",
        )

    async def models(_: Request) -> Response:
        return JSONResponse({"data": [vllm.card]})

    routes = [
        Route("/v1/chat/completions", answer, methods=["POST"]),
        Route("/v1/completions", complete, methods=["POST"]),
        Route("/v1/models", models),
        Route("/readyz", health),
    ]
    yield Starlette(routes=routes)
    workloads.close()


class _VllmRequests:
    """Read and write the token ids of vLLM's protocol; log-probabilities are made up."""

    def __init__(self, platform: Platform, workload: Workload) -> None:
        from transformers import AutoTokenizer

        base = platform.base(workload)
        self.card = {"id": base_alias(base.digest), "root": str(base.folder), "parent": None}
        self._tokenizer: Any = AutoTokenizer.from_pretrained(base.folder)
        texts = asked_texts()
        ids = input_ids(self._tokenizer, base.codec(workload), texts)
        self._texts = {tuple(row): text for row, text in zip(ids, texts, strict=True)}
        self._choices: dict[str, dict[str, Any]] = {}

    def text_of(self, prompt: list[int]) -> str:
        """Return the text of the bench that a prompt was rendered from."""
        return self._texts[tuple(prompt)]

    def choices(self, prompts: list[list[int]], answers: list[str]) -> list[dict[str, Any]]:
        """Return vLLM's form of the answers."""
        return [
            {"index": number, "prompt_token_ids": prompt, **self._choice(answer)}
            for number, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))
        ]

    def _choice(self, answer: str) -> dict[str, Any]:
        if answer not in self._choices:
            tokens = self._tokenizer(answer, add_special_tokens=False)["input_ids"]
            tokens = [*tokens, self._tokenizer.eos_token_id]
            tops = [{f"token_id:{token}": -0.1, "token_id:0": -3.0} for token in tokens]
            logprobs = {"token_logprobs": [-0.1] * len(tokens), "top_logprobs": tops}
            self._choices[answer] = {
                "token_ids": tokens,
                "finish_reason": "stop",
                "logprobs": logprobs,
            }
        return self._choices[answer]


def main(mode: str, home: str, port: str) -> None:
    """Serve until SIGTERM."""
    settings = load_settings(home=Path(home), workloads=Path(home) / "workloads")
    platform = Platform(settings)
    if mode == "gateway":
        serve_gateway(platform, host="127.0.0.1", port=int(port), timeout_seconds=30)
    else:
        with _direct(platform) as app:
            uvicorn.run(app, port=int(port), log_level="warning", access_log=False)
    platform.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The same model server twice over HTTP: behind the gateway, and asked directly.

`python -m bench.gateway_server gateway|direct HOME PORT`. ``direct`` reads a request, asks the same
batcher on the same base and returns the text: no key, no checks, no record.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flywheel.deployment.gateway_program import serve_gateway
from flywheel.gateway.arms import Arm
from flywheel.settings import load_settings
from flywheel.usecases.gateway_workloads import GatewayWorkloads
from flywheel.wiring import Platform

_BASE = Arm("champion", "base")


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

    routes = [
        Route("/v1/chat/completions", answer, methods=["POST"]),
        Route("/readyz", health),
    ]
    yield Starlette(routes=routes)
    workloads.close()


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

"""vLLM's HTTP interface without a model: adapters by name, and the first allowed label as answer.

``python -m tests.fakes.vllm_http BASE PORT`` serves the base model of a folder as a process of its
own, which can be killed; ``/counts`` says what it answered.
"""

import json
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from flywheel.artifacts.base_folder import BaseModel, read_base
from flywheel.ports.model_server import base_alias

__all__ = ["FakeVllm"]


class _Server(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: Any) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember a connection, so that a killed server leaves none open."""
        self.connections.add(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that were closed by a kill."""


class FakeVllm:
    """A server that is killed and started again at its port, empty as a restarted vLLM is.

    Args:
        base: the base model that it serves.
        seconds: how long an answer takes.
        port: 0: a free one.
    """

    def __init__(self, base: BaseModel, *, seconds: float = 0.0, port: int = 0) -> None:
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_file(str(base.folder / "tokenizer.json"))
        config = json.loads((base.folder / "config.json").read_text(encoding="utf-8"))
        self._end: int = config["eos_token_id"]
        self._tokenizing = threading.Lock()
        self._alias, self._root = base_alias(base.digest), str(base.folder)
        self.seconds = seconds
        self.adapters: dict[str, str] = {}
        self.answered: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        self.port = port
        self._server: _Server | None = None
        self.start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve, with no adapter."""
        self.adapters = {}
        server = _Server(("127.0.0.1", self.port), _handler(self))
        self._server, self.port = server, server.server_port
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def kill(self) -> None:
        """End in the middle of what is being answered."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        for connection in list(server.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it was closed already

    def get(self, path: str) -> tuple[int, Any]:
        """Answer /v1/models and /version, and /counts, which no vLLM has."""
        if path == "/version":
            return 200, {"version": "0.0"}
        if path == "/counts":
            return 200, {"answered": self.answered, "unknown": self.unknown}
        cards: list[dict[str, Any]] = [{"id": self._alias, "root": self._root, "parent": None}]
        cards += [
            {"id": name, "root": path, "parent": "base"} for name, path in self.adapters.items()
        ]
        return 200, {"data": cards}

    def load(self, body: dict[str, Any]) -> tuple[int, Any]:
        """Answer /v1/load_lora_adapter."""
        if not Path(body["lora_path"]).is_dir():
            return 400, {"error": {"message": "no such folder"}}
        self.adapters[body["lora_name"]] = body["lora_path"]
        return 200, "Success"

    def unload(self, body: dict[str, Any]) -> tuple[int, Any]:
        """Answer /v1/unload_lora_adapter."""
        found = self.adapters.pop(body["lora_name"], None)
        return (404, {"error": {"message": "not there"}}) if found is None else (200, "Success")

    def complete(self, body: dict[str, Any]) -> tuple[int, Any]:
        """Answer /v1/completions with the first allowed label."""
        model = body["model"]
        if model != self._alias and model not in self.adapters:
            self.unknown[model] += 1
            return 404, {"error": {"message": f"The model {model} does not exist."}}
        time.sleep(self.seconds)
        self.answered[model] += 1
        choices = body.get("structured_outputs", {}).get("choice", [""])
        with self._tokenizing:
            ids = self._tokenizer.encode(choices[0], add_special_tokens=False).ids
        tokens = [*ids, self._end]
        logprobs = {
            "token_logprobs": [-0.1] * len(tokens),
            "top_logprobs": [{f"token_id:{token}": -0.1, "token_id:0": -3.0} for token in tokens],
        }
        return 200, {
            "choices": [
                {
                    "index": number,
                    "prompt_token_ids": prompt,
                    "token_ids": tokens,
                    "finish_reason": "stop",
                    "logprobs": logprobs,
                }
                for number, prompt in enumerate(body["prompt"])
            ]
        }


def _unknown(_: dict[str, Any]) -> tuple[int, Any]:
    return 404, {"error": {"message": "no such path"}}


def _handler(vllm: FakeVllm) -> type[BaseHTTPRequestHandler]:
    posts: dict[str, Callable[[dict[str, Any]], tuple[int, Any]]] = {
        "/v1/load_lora_adapter": vllm.load,
        "/v1/unload_lora_adapter": vllm.unload,
        "/v1/completions": vllm.complete,
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(*vllm.get(self.path))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._send(*posts.get(self.path, _unknown)(body))

        def _send(self, status: int, payload: Any) -> None:
            content = json.dumps(payload).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    return Handler


def main(base: Path, port: int) -> None:
    """Serve until the process is ended."""
    FakeVllm(read_base(base), seconds=0.005, port=port)
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

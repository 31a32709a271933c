"""An endpoint that speaks OpenAI's protocol and answers what it is given, over a real socket."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["FakeUpstream", "fake_upstream"]


class FakeUpstream:
    """``contents`` are answered one after another, the last for ever; ``status`` is an error's.

    ``answer`` makes the content from the request instead.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.contents: list[str] = ['{"label":"weld"}']
        self.models = ["big"]
        self.status = 200
        self.finish_reason = "stop"
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.before: Callable[[], object] = lambda: None
        self.answer: Callable[[dict[str, Any]], str] | None = None

    def reply(self, request: dict[str, Any]) -> bytes:
        """Return the body of the next answer."""
        if self.status != 200:
            return json.dumps({"error": {"message": "no", "type": "server_error"}}).encode()
        if self.answer is not None:
            content = self.answer(request)
        else:
            content = self.contents.pop(0) if len(self.contents) > 1 else self.contents[0]
        message = {"role": "assistant", "content": content}
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason}
        usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
        return json.dumps({"choices": [choice], "usage": usage}).encode()


@contextmanager
def fake_upstream() -> Iterator[FakeUpstream]:
    """Serve one while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            request = json.loads(self.rfile.read(length)) | {"path": self.path}
            upstream.bodies.append(request)
            upstream.headers.append({name.lower(): value for name, value in self.headers.items()})
            upstream.before()
            body = upstream.reply(request)
            self.send_response(upstream.status)
            if 300 <= upstream.status < 400:
                self.send_header("Location", f"{upstream.url}/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            """Answer /models."""
            upstream.headers.append({name.lower(): value for name, value in self.headers.items()})
            body = json.dumps({"data": [{"id": name} for name in upstream.models]}).encode()
            self.send_response(upstream.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        # A judge asks several questions at a time: none is turned away.
        request_queue_size = 64

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    upstream = FakeUpstream(f"http://127.0.0.1:{server.server_port}/v1")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield upstream
    finally:
        server.shutdown()
        server.server_close()

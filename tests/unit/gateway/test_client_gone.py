"""A client that goes away: what it did not receive is not an answer."""

import asyncio
import json
import threading

from flywheel.gateway.app import build_app
from tests.fakes.gateway_world import GatewayWorld, header


async def _drive(app, *, stream=False, gone_after_parts=None, gone_after_seconds=None):
    # One request as a server makes it; the client hangs up after so many parts of the body.
    message = {"role": "user", "content": "the seal leaks"}
    body = json.dumps({"model": "parts", "messages": [message], "stream": stream}).encode()
    gone, sent, received = asyncio.Event(), [], []

    async def receive():
        if not received:
            received.append(body)
            return {"type": "http.request", "body": body, "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        bodies = [one for one in sent if one["type"] == "http.response.body"]
        if gone_after_parts is not None and len(bodies) >= gone_after_parts:
            gone.set()

    if gone_after_seconds is not None:
        asyncio.get_running_loop().call_later(gone_after_seconds, gone.set)
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
        "method": "POST", "scheme": "http", "path": "/v1/chat/completions", "raw_path": b"",
        "query_string": b"", "root_path": "", "server": ("test", 80), "client": ("test", 1),
        "headers": [(k.lower().encode(), v.encode()) for k, v in header().items()],
    }  # fmt: skip
    await app(scope, receive, send)
    return b"".join(one.get("body", b"") for one in sent)


def _statuses(tmp_path):
    (file,) = (tmp_path / "calls").iterdir()
    return [json.loads(line)["status"] for line in file.read_text().splitlines()]


def test_a_client_that_is_gone_before_the_answer_was_not_answered(world, tmp_path):
    """The event says 499 and has no answer; so do the call log and the metrics."""
    answer = threading.Event()
    world.replies.before = lambda: answer.wait(10)
    asyncio.run(_drive(build_app(world.gateway), gone_after_seconds=0.05))
    assert not answer.is_set()  # nobody waited for the model
    answer.set()
    (event,) = world.events()
    assert event["error"].startswith("499 client_closed_request")
    assert (event["response"], event["output"], event["confidence"]) == (None, None, None)
    assert _statuses(tmp_path) == [499]


def test_a_stream_that_broke_off_was_not_answered(world, tmp_path):
    """Its event takes the place of the answer's, under the same id, before the log has either."""
    content = asyncio.run(_drive(build_app(world.gateway), stream=True, gone_after_parts=2))
    assert b"[DONE]" not in content
    (event,) = world.events()
    assert event["error"].startswith("499 client_closed_request: The stream broke off")
    assert (event["response"], event["output"], event["release"]) == (None, None, "r1")
    assert event["inference_id"].encode() in content
    assert _statuses(tmp_path) == [499]
    assert world.spool.bytes == len(world.spool.oldest(1)[0].value)


def test_a_stream_that_was_sent_is_an_answer(world, tmp_path):
    """Once, and after its end also for the log."""
    content = asyncio.run(_drive(build_app(world.gateway), stream=True))
    assert content.endswith(b"data: [DONE]\n\n")
    (event,) = world.events()
    assert (event["output"], event["error"]) == ("seal", None)
    assert _statuses(tmp_path) == [200]


def test_what_a_stream_holds_is_durable_and_waits_for_its_end(tmp_path):
    """A crash in the middle of a stream leaves the answer: the client may have received it."""
    world = GatewayWorld(tmp_path)
    seen = []

    app = build_app(world.gateway)
    original = world.gateway.service.settle

    async def settle(answered, *, is_sent):
        seen.append((len(world.events()), world.spool.depth))
        await original(answered, is_sent=is_sent)

    world.gateway.service.settle = settle
    asyncio.run(_drive(app, stream=True))
    assert seen == [(0, 1)]
    assert len(world.events()) == 1
    world.close()

"""The gateway as OpenAI's client sees it, and what it records of each call."""

import json
import time

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from flywheel.errors import IntegrityError, UnavailableError
from flywheel.gateway.answered import Serving
from flywheel.gateway.api_errors import ApiError
from flywheel.gateway.app import build_app
from flywheel.gateway.chat import parse_chat
from tests.fakes.gateway_world import GatewayWorld, api_key, header


def status_of(body):
    try:
        parse_chat(body)
    except ApiError as error:
        return error.status
    return None


def ask(client, text="the seal leaks", **fields):
    messages = [{"role": "system", "content": "x"}, {"role": "user", "content": text}]
    return client.chat.completions.create(model="parts", messages=messages, **fields)


def calls(tmp_path):
    (file,) = (tmp_path / "calls").iterdir()
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_openais_client_gets_a_completion(client, world):
    """The answer is the label's name, with counts and headers; the event says the same."""
    raw = client.chat.completions.with_raw_response.create(
        model="parts",
        messages=[{"role": "user", "content": "the seal leaks"}],
        temperature=0.7,
        seed=1,
        metadata={"trace_id": "t1", "conversation_id": "c1"},
        user="anna.m",
    )
    answer = raw.parse()
    assert answer.choices[0].message.content == "seal"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == 9
    (event,) = world.events()
    assert raw.headers["x-flywheel-inference-id"] == event["inference_id"]
    assert raw.headers["x-flywheel-release"] == event["release"] == "r1"
    assert raw.headers["x-flywheel-confidence"] == "0.900000"
    assert answer.id == f"chatcmpl-{event['inference_id']}"
    assert (event["client_id"], event["route"], event["output"]) == ("line-4", "champion", "seal")
    assert (event["trace_id"], event["conversation_id"]) == ("t1", "c1")
    assert (event["confidence"], event["margin"], event["error"]) == (0.9, 0.8, None)
    assert event["response"] == json.loads(raw.text)
    assert event["request"]["temperature"] == 0.7
    assert "anna.m" not in json.dumps(event)
    assert event["subject_id"] == event["request"]["user"]


def test_a_stream_adds_up_to_the_answer(client, world):
    """Chunks carry role, content and reason; usage comes last where it is asked for."""
    stream = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in stream if c.choices) == "seal"
    assert [c.choices[0].finish_reason for c in stream if c.choices] == [None, None, "stop"]
    assert stream[-1].usage.total_tokens == 9
    assert all(chunk.usage is None for chunk in list(ask(client, stream=True)))
    assert len(world.events()) == 2


def test_logprobs_are_the_answers_own_probability(client):
    """The whole answer is one step among the allowed ones."""
    (token,) = ask(client, logprobs=True).choices[0].logprobs.content
    assert (token.token, round(token.logprob, 3)) == ("seal", -0.105)


def test_models_are_the_workloads_that_the_key_allows(http, world):
    """A key sees and asks nothing else; both look as if they did not exist."""
    assert [m["id"] for m in http.get("/v1/models", headers=header()).json()["data"]] == ["parts"]
    world.keys[:] = [api_key(workloads=("other",))]
    world.gateway.keys.renew()
    assert http.get("/v1/models", headers=header()).json()["data"] == []
    body = {"model": "parts", "messages": [{"role": "user", "content": "x"}]}
    hidden = http.post("/v1/chat/completions", headers=header(), json=body)
    missing = http.post("/v1/chat/completions", headers=header(), json=body | {"model": "none"})
    assert (hidden.status_code, missing.status_code) == (404, 404)
    assert hidden.json()["error"]["code"] == missing.json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("fields", "parameter"),
    [
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"top_logprobs": 3, "logprobs": True}, "top_logprobs"),
        ({"modalities": ["audio"]}, "modalities"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(client, world, fields, parameter):
    """Nothing is asked and nothing recorded."""
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, **fields)
    assert (refused.value.param, refused.value.code) == (parameter, "unsupported_value")
    assert (world.replies.asked, world.events()) == ([], [])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"\xff", "invalid_json"),
        (b"[]", "invalid_value"),
        (b'{"model":"parts"}', "invalid_value"),
        (b'{"model":"parts","messages":[]}', "no_input"),
        (b'{"model":"parts","messages":[{"role":"user","content":""}]}', "no_input"),
        (b'{"model":"parts","messages":[{"role":"user","content":7}]}', "invalid_value"),
        (b'{"model":"parts","messages":[{"role":"user","content":"a\\u0000b"}]}', None),
        (b'{"model":"parts","messages":[{"content":"x"}]}', None),
    ],
)
def test_a_body_that_is_no_request_is_a_bad_request(http, world, body, code):
    """In OpenAI's shape, before anything was asked."""
    response = http.post("/v1/chat/completions", headers=header(), content=body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert code is None or error["code"] == code
    assert world.replies.asked == []


def test_too_long_too_large_and_no_key(http, world):
    """400, 413 and 401; the key is looked at before the body."""
    long = {"model": "parts", "messages": [{"role": "user", "content": "x" * 8_001}]}
    assert http.post("/v1/chat/completions", headers=header(), json=long).status_code == 400
    large = http.post("/v1/chat/completions", headers=header(), content=b"x" * 1_000_001)
    assert (large.status_code, large.json()["error"]["code"]) == (413, "request_too_large")
    assert http.post("/v1/chat/completions", content=b"x" * 1_000_001).status_code == 401
    assert http.get("/v1/models").status_code == 401
    assert world.events() == []


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UnavailableError("vllm:8000 is away"), 503, "unavailable"),
        (IntegrityError("/srv/r1 was changed"), 503, "integrity"),
    ],
)
def test_a_failed_answer_is_recorded_and_names_no_address(http, world, error, status, code):
    """The event has no response, and says why."""
    world.replies.error = error
    body = {"model": "parts", "messages": [{"role": "user", "content": "x"}]}
    response = http.post("/v1/chat/completions", headers=header(), json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert error.message not in response.text
    (event,) = world.events()
    assert (event["response"], event["output"]) == (None, None)
    assert event["error"].startswith(f"{status} {code}")


def test_an_answer_that_takes_too_long_is_a_time_out(tmp_path):
    """504, recorded as such."""
    world = GatewayWorld(tmp_path, timeout=0.05)
    world.replies.before = lambda: time.sleep(0.3)
    with TestClient(build_app(world.gateway)) as http:
        body = {"model": "parts", "messages": [{"role": "user", "content": "x"}]}
        assert http.post("/v1/chat/completions", headers=header(), json=body).status_code == 504
    (event,) = world.events()
    world.close()
    assert event["error"].startswith("504 timeout")


def test_an_answer_outside_the_schema_is_given_and_marked(client, world):
    """Cut off: the client sees ``length``, the event has no output and the reason."""
    world.replies.output = None
    assert ask(client).choices[0].finish_reason == "length"
    first, event = world.events()  # it was asked again, with more room
    assert first["shadow_of"] == event["inference_id"]
    assert (event["output"], event["error"]) == (None, "cut off")


def test_what_cannot_be_recorded_is_not_answered(http, world):
    """A full spool is 503; nothing unrecorded leaves."""
    body = {"model": "parts", "messages": [{"role": "user", "content": "x" * 7_000}]}
    while (response := http.post("/v1/chat/completions", headers=header(), json=body)).is_success:
        assert world.spool.bytes <= 1_000_000
    assert (response.status_code, response.json()["error"]["code"]) == (503, "not_recorded")
    assert response.headers["retry-after"] == "5"


def test_feedback_is_recorded(http, world):
    """By the client itself, where it names no author; what ingest would refuse is refused here."""
    said = {"model": "parts", "inference_id": "i1", "kind": "boolean", "value": False}
    response = http.post("/v1/feedback", headers=header(), json=said)
    (event,) = world.events()
    assert response.json()["id"] == event["feedback_id"]
    assert (event["author"], event["value"], event["kind"]) == ("line-4", False, "boolean")
    for bad in ({"value": None}, {"kind": "score"}, {"inference_id": ""}, {"kind": "float"}):
        refused = http.post("/v1/feedback", headers=header(), json=said | bad)
        assert refused.status_code == 400, bad
    assert len(world.events()) == 1


def test_every_call_leaves_a_line_without_its_text(http, world, tmp_path):
    """Who, what, how much, how long; a refused one too."""
    body = {"model": "parts", "messages": [{"role": "user", "content": "the seal leaks"}]}
    http.post("/v1/chat/completions", headers=header(), json=body)
    http.post("/v1/chat/completions", json=body)
    answered, refused = calls(tmp_path)
    assert (answered["client_id"], answered["status"], answered["prompt_tokens"]) == (
        "line-4", 200, 7,
    )  # fmt: skip
    assert (refused["client_id"], refused["status"]) == (None, 401)
    assert "leaks" not in json.dumps([answered, refused])
    assert len(answered["input_digest"]) == 32


def test_health_readiness_and_metrics(http, world):
    """Ready says why it is not; requests are counted by workload and status."""
    assert http.get("/healthz").json() == {"status": "ok"}
    assert http.get("/readyz").status_code == 200
    world.problems.append("parts: no base model")
    response = http.get("/readyz")
    assert (response.status_code, response.json()["problems"]) == (503, ["parts: no base model"])
    body = {"model": "parts", "messages": [{"role": "user", "content": "x"}]}
    http.post("/v1/chat/completions", headers=header(), json=body)
    text = http.get("/metrics").text
    assert 'flywheel_gateway_requests_total{status="200",workload="parts"} 1.0' in text
    assert http.get("/nothing").json()["error"]["code"] == "not_found"


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["model", "messages", "role", "content", "n", "stream", "user"]),
                inner,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_a_request_or_a_bad_request(value):
    """No body ends in another error."""
    assert status_of(json.dumps(value).encode()) in {None, 400}


def test_a_conversation_is_asked_as_a_whole(world, client):
    """The model is asked with every turn; the event keeps the request as it came."""
    workload = world.workload.model_copy(update={"input": "conversation"})
    world.serving[workload.id] = Serving(workload, "tiny", world.batcher)
    messages = [
        {"role": "system", "content": "x"},
        {"role": "user", "content": "the seal leaks"},
        {"role": "assistant", "content": "Since when?"},
        {"role": "user", "content": "noon"},
    ]
    client.chat.completions.create(model="parts", messages=messages)
    thread = "User: the seal leaks\nAssistant: Since when?\nUser: noon"
    assert world.replies.asked == [[thread]]
    (event,) = world.events()
    assert event["request"]["messages"] == messages
    messages[-1]["content"] = "x" * (workload.limits.input_characters + 1)
    with pytest.raises(openai.BadRequestError, match="the workload allows"):
        client.chat.completions.create(model="parts", messages=messages)

"""A gateway of a workload that masks personal data: neither spool, calls nor metrics have it."""

import pytest
from starlette.testclient import TestClient

from flywheel.gateway.answered import Serving
from flywheel.gateway.app import build_app
from flywheel.workload.privacy import PrivacyRules
from tests.fakes.gateway_world import GatewayWorld, header, openai_client

_MAIL, _PHONE = "anna.m@example.com", "+49 30 901820"


def _world(folder, **rules):
    world = GatewayWorld(folder)
    workload = world.workload.model_copy(update={"privacy": PrivacyRules(**rules)})
    world.serving[workload.id] = Serving(workload, "tiny", world.batcher)
    return world


@pytest.mark.parametrize("masks_answers", [False, True])
def test_what_is_kept_is_masked_and_the_answer_where_it_is_asked_for(tmp_path, masks_answers):
    """The model is asked with the words of the client; the person keeps a hash."""
    world = _world(tmp_path, mask_answers=masks_answers)
    world.replies.output = f"write to {_MAIL}"
    with TestClient(build_app(world.gateway)) as http:
        client = openai_client(http)
        message = {"role": "user", "content": f"I am {_MAIL}, call {_PHONE}"}
        answers = [
            client.chat.completions.create(
                model="parts", messages=[message], user=_MAIL, stream=stream
            )
            for stream in (False, True)
        ]
        streamed = "".join(chunk.choices[0].delta.content or "" for chunk in answers[1])
        metrics = http.get("/metrics").text
    content = answers[0].choices[0].message.content
    assert content == streamed == f"write to {'<EMAIL_1>' if masks_answers else _MAIL}"
    assert world.replies.asked == [[message["content"]]] * 2
    for event in world.events():
        assert event["request"]["messages"][-1]["content"] == "I am <EMAIL_1>, call <PHONE_1>"
        assert event["output"] == "write to <EMAIL_1>"
        assert event["request"]["user"] == event["subject_id"]
    world.close()
    assert 'flywheel_gateway_masked_items_total{kind="email",workload="parts"} 2.0' in metrics
    assert 'flywheel_gateway_masked_items_total{kind="phone",workload="parts"} 2.0' in metrics
    everything = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert _MAIL.encode() not in everything
    assert _PHONE.encode() not in everything


def test_feedback_is_masked(tmp_path):
    """Comments hold as much as requests."""
    world = _world(tmp_path)
    with TestClient(build_app(world.gateway)) as http:
        said = {"model": "parts", "inference_id": "i1", "kind": "comment", "value": f"ask {_MAIL}"}
        assert http.post("/v1/feedback", headers=header(), json=said).status_code == 200
        assert 'masked_items_total{kind="email",workload="parts"} 1.0' in http.get("/metrics").text
    (event,) = world.events()
    world.close()
    assert event["value"] == "ask <EMAIL_1>"


def test_an_input_that_is_too_long_once_masked_is_refused(tmp_path):
    """What ingest would refuse must not be answered: placeholders may be longer."""
    world = _world(tmp_path)
    limit = world.workload.limits.input_characters
    text = ("a@b.co " * limit)[: limit - 1]
    body = {"model": "parts", "messages": [{"role": "user", "content": text.strip()}]}
    with TestClient(build_app(world.gateway)) as http:
        response = http.post("/v1/chat/completions", headers=header(), json=body)
    assert (response.status_code, world.replies.asked) == (400, [])
    world.close()

"""A workload with tiers, as OpenAI's client sees it: who answers, what is recorded, what it costs."""

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta

import openai
import pytest
from starlette.testclient import TestClient

from flywheel.clock import ManualClock
from flywheel.errors import DataError, UnavailableError
from flywheel.gateway.app import build_app
from flywheel.gateway.arms import Portion, RouteSnapshot
from flywheel.gateway.openai_endpoint import OpenAiEndpoint
from flywheel.gateway.portfolio import EscalationBasis
from flywheel.gateway.rations import DailyRation
from flywheel.quality.calibration import Calibration
from flywheel.quality.calibration.platt import PlattCurve
from flywheel.workload.model import parse_workload
from flywheel.workload.tiers import Tier
from tests.fakes import micro_base
from tests.fakes.gateway_world import KEY, NOW, GatewayWorld, ask, openai_client
from tests.fakes.openai_upstream import fake_upstream
from tests.fakes.replies import replies, reply, ticket

UNSURE = 0.3


@pytest.fixture
def upstream():
    """Return an endpoint that answers ``weld``."""
    with fake_upstream() as upstream:
        yield upstream


def said(answer):
    return answer.parse().choices[0].message.content


def escalations(world, reason):
    labels = {"workload": "parts", "tier": "large", "reason": reason}
    return world.metrics.registry.get_sample_value("flywheel_gateway_escalations_total", labels)


def gauge(world, name, **labels):
    name = f"flywheel_gateway_{name}"
    return world.metrics.registry.get_sample_value(name, {"workload": "parts", **labels})


def test_a_sure_answer_stays_with_the_champion(client, world, upstream):
    """The next tier is not asked, and the header names the first."""
    world.add_tiers(upstream.url)
    answer = ask(client)
    assert (said(answer), answer.headers["x-flywheel-tier"]) == ("seal", "champion")
    assert "x-flywheel-escalation" not in answer.headers
    assert upstream.bodies == []


def test_an_unsure_answer_goes_to_the_next_tier(client, world, upstream):
    """Both attempts are events; what no caller received names what they did."""
    world.add_tiers(upstream.url)
    world.replies.confidence = UNSURE
    answer = ask(client, user="anna.m")
    headers = answer.headers
    assert (said(answer), headers["x-flywheel-release"]) == ("weld", "large")
    assert (headers["x-flywheel-route"], headers["x-flywheel-tier"]) == ("escalation", "large")
    assert headers["x-flywheel-escalation"] == "low-confidence"
    assert "x-flywheel-confidence" not in headers
    own, large = world.events()
    assert (own["route"], own["release"], own["output"]) == ("champion", "r1", "seal")
    assert own["shadow_of"] == large["inference_id"] == headers["x-flywheel-inference-id"]
    assert (large["route"], large["release"], large["base_model"]) == (
        "escalation", "large", "big-1",
    )  # fmt: skip
    assert (large["output"], large["confidence"], large["shadow_of"]) == ("weld", None, None)
    assert large["usage"]["total_tokens"] == 1100
    assert large["subject_id"] == own["subject_id"]
    assert escalations(world, "low-confidence") == 1
    assert gauge(world, "ration_left") == 499


def test_a_stream_is_escalated_too(client, world, upstream):
    """And its record is held until it has ended."""
    world.add_tiers(upstream.url)
    world.replies.confidence = UNSURE
    stream = client.chat.completions.create(
        model="parts", messages=[{"role": "user", "content": "x"}], stream=True
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "weld"
    assert [event["route"] for event in world.events()] == ["champion", "escalation"]


def test_the_endpoint_is_asked_for_structured_output(client, world, upstream):
    """The workload's prompt and labels; nothing of the caller but the input and listed headers."""
    fields = {
        "key_variable": "BIG_KEY",
        "headers": ["x-trace"],
        "parameters": {"max_tokens": None, "max_completion_tokens": 50},
    }
    world.add_tiers(upstream.url, tier=fields)
    world.replies.confidence = UNSURE
    ask(client, user="anna.m", extra_headers={"X-Trace": "t1", "X-Other": "o1", "Cookie": "c=1"})
    (body,), (headers,) = upstream.bodies, upstream.headers
    assert body["path"] == "/v1/chat/completions"
    assert (body["model"], body["max_completion_tokens"]) == ("big-1", 50)
    assert not {"max_tokens", "user", "metadata"} & set(body)
    assert body["messages"][1]["content"] == "Report: the seal leaks\nPart: "
    schema = body["response_format"]["json_schema"]
    assert schema["schema"]["properties"]["label"]["enum"] == ["seal", "seal paint", "weld"]
    assert schema["strict"] is True
    assert headers["authorization"] == "Bearer sk-secret"
    assert headers["x-trace"] == "t1"
    assert not {"x-other", "cookie"} & set(headers)
    assert KEY not in json.dumps(headers)


def test_an_invalid_answer_of_an_endpoint_is_asked_for_again(client, world, upstream):
    """With its own words and what is wrong with them; each attempt is an event."""
    upstream.contents = ['{"label":"door"}', '{"label":"weld"}']
    world.add_tiers(upstream.url)
    world.replies.confidence = UNSURE
    assert said(ask(client)) == "weld"
    assert [event["output"] for event in world.events()] == ["seal", None, "weld"]
    assert "door" in world.events()[1]["error"]
    again = upstream.bodies[1]["messages"]
    assert [one["role"] for one in again] == ["system", "user", "assistant", "user"]
    assert "not valid" in again[3]["content"]
    assert world.ration.left(world.portfolios[0].workload) == 499  # a retry costs no ration


@pytest.mark.parametrize(
    "spoil",
    [
        lambda upstream: setattr(upstream, "status", 500),
        lambda upstream: setattr(upstream, "status", 302),
        lambda upstream: setattr(upstream, "status", 401),
        lambda upstream: setattr(upstream, "contents", ["no label"]),
        lambda upstream: setattr(upstream, "finish_reason", "length"),
    ],
)
def test_a_tier_that_fails_leaves_the_best_answer_so_far(client, world, upstream, spoil):
    """The champion's, whatever it was unsure of; a redirect is not followed."""
    spoil(upstream)
    world.add_tiers(upstream.url, tier={"key_variable": "BIG_KEY"})
    world.replies.confidence = UNSURE
    answer = ask(client)
    assert (said(answer), answer.headers["x-flywheel-tier"]) == ("seal", "champion")
    assert answer.headers["x-flywheel-escalation"] == "low-confidence"
    own, *tried = world.events()
    assert own["shadow_of"] is None
    assert {one["shadow_of"] for one in tried} == {own["inference_id"]}
    assert all(one["error"] for one in tried)
    assert "sk-secret" not in json.dumps(world.events())
    assert {body["path"] for body in upstream.bodies} == {"/v1/chat/completions"}


def test_a_missing_key_is_a_failure_of_that_tier_alone(client, world, upstream):
    """The event says which variable is missing."""
    world.add_tiers(upstream.url, tier={"key_variable": "NO_SUCH_KEY"})
    world.replies.confidence = UNSURE
    assert said(ask(client)) == "seal"
    assert "NO_SUCH_KEY is not set" in world.events()[1]["error"]
    assert upstream.bodies == []


def test_a_spent_ration_lets_the_best_answer_out_marked_and_counted(client, world, upstream):
    """Escalation is rationed, and the next day has its own ration."""
    world.add_tiers(upstream.url, per_day=1)
    world.replies.confidence = UNSURE
    assert said(ask(client)) == "weld"
    answer = ask(client)
    assert (said(answer), answer.headers["x-flywheel-ration"]) == ("seal", "spent")
    assert answer.headers["x-flywheel-escalation"] == "low-confidence"
    assert gauge(world, "ration_spent_total") == 1
    assert gauge(world, "ration_left") == 0
    world.clock.move_to(NOW + timedelta(days=1))
    assert gauge(world, "ration_left") == 1
    assert said(ask(client)) == "weld"


def test_the_ration_is_spent_before_the_tier_is_asked(client, world, upstream):
    """On the disk: a crash in between costs one of it, and never refills it."""
    portfolio = world.add_tiers(upstream.url, per_day=3)
    world.replies.confidence = UNSURE
    counts = []
    upstream.before = lambda: counts.append(
        json.loads((world.folder / "escalations.json").read_bytes())["counts"]
    )
    ask(client)
    assert counts == [{"parts": 1}]
    restarted = DailyRation(
        world.folder / "escalations.json", lambda one: one.escalation.per_day, world.clock
    )
    assert restarted.left(portfolio.workload) == 2


def test_a_gateway_that_is_killed_between_spending_and_answering_gets_no_ration_back(tmp_path):
    """The process ends by SIGKILL after each of three spendings; the fourth finds nothing left."""
    program = (
        "import os, signal, sys\n"
        "from datetime import datetime, UTC\n"
        "from pathlib import Path\n"
        "from types import SimpleNamespace\n"
        "from flywheel.clock import ManualClock\n"
        "from flywheel.gateway.rations import DailyRation\n"
        "clock = ManualClock(datetime(2026, 11, 2, tzinfo=UTC))\n"
        "ration = DailyRation(Path(sys.argv[1]), lambda _: 3, clock)\n"
        "taken = [ration.take(SimpleNamespace(id='parts')) for _ in range(3)]\n"
        "assert taken == [True] * 3\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    file = tmp_path / "escalations.json"
    done = subprocess.run([sys.executable, "-c", program, file], env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    after = DailyRation(file, lambda _: 3, ManualClock(NOW))
    assert after.left(micro_base.classification()) == 0
    assert not after.take(micro_base.classification())


def test_confidence_is_calibrated_where_judgments_allow_it(client, world, upstream):
    """Raw 0.9 of a release that is right half the time is unsure; another release's stays raw."""
    overconfident = Calibration("platt", 100, PlattCurve(0.0, 0.0))
    world.add_tiers(upstream.url, basis=EscalationBasis({"r1": overconfident}))
    assert said(ask(client)) == "weld"
    world.snapshot = RouteSnapshot("r2")
    assert said(ask(client)) == "seal"


class _FarFrom:
    def __init__(self, word: str) -> None:
        self.word = word

    def is_unlike(self, text):
        return self.word in text


def test_an_unfamiliar_input_goes_to_the_next_tier(client, world, upstream):
    """However sure the champion is."""
    world.add_tiers(upstream.url, basis=EscalationBasis(reference=_FarFrom("zebra")))
    assert said(ask(client)) == "seal"
    assert said(ask(client, "a zebra leaks")) == "weld"
    assert escalations(world, "unfamiliar-input") == 1


def test_an_invalid_answer_goes_to_the_next_tier_after_its_retry(client, world, upstream):
    """Two attempts of the champion, one of the tier."""
    world.add_tiers(upstream.url)
    world.replies.output = None
    assert said(ask(client)) == "weld"
    routes = [event["route"] for event in world.events()]
    assert routes == ["champion", "champion", "escalation"]


def test_a_champion_that_fails_is_skipped_once_its_circuit_is_open(client, world, upstream):
    """A pause later one request tries it again."""
    moment = [0.0]
    world.add_tiers(upstream.url, failures=2, pause_seconds=30, now=lambda: moment[0])
    world.replies.error = UnavailableError("away")
    for _ in range(3):
        assert said(ask(client)) == "weld"
    assert len(world.replies.asked) == 2
    assert (escalations(world, "failed"), escalations(world, "circuit-open")) == (2, 1)
    assert gauge(world, "circuit_state", tier="champion") == 2
    moment[0] = 30.0
    assert gauge(world, "circuit_state", tier="champion") == 1
    world.replies.error = None
    assert said(ask(client)) == "seal"
    assert gauge(world, "circuit_state", tier="champion") == 0


def test_an_open_circuit_is_worth_less_than_an_answer(client, world, upstream):
    """Where the ration is spent too, the champion is asked all the same."""
    world.add_tiers(upstream.url, failures=1, per_day=1)
    world.replies.error = UnavailableError("away")
    assert said(ask(client)) == "weld"
    world.replies.error = None
    answer = ask(client)
    assert (said(answer), answer.headers["x-flywheel-ration"]) == ("seal", "spent")
    assert gauge(world, "circuit_state", tier="champion") == 0


def test_a_tier_whose_circuit_is_open_costs_no_ration(client, world, upstream):
    """It is not asked."""
    upstream.status = 500
    portfolio = world.add_tiers(upstream.url, failures=2)
    world.replies.confidence = UNSURE
    for _ in range(4):
        assert said(ask(client)) == "seal"
    assert len(upstream.bodies) == 2
    assert portfolio.ration_left == 498


def test_where_everything_fails_the_client_gets_the_champions_error(client, world, upstream):
    """Not what a tier says of itself; every attempt is recorded."""
    upstream.status = 500
    world.add_tiers(upstream.url)
    world.replies.error = UnavailableError("away")
    with pytest.raises(openai.InternalServerError) as raised:
        ask(client)
    assert upstream.url not in str(raised.value)
    own, tried = world.events()
    assert (own["shadow_of"], tried["shadow_of"]) == (None, own["inference_id"])


def test_an_input_at_fault_is_asked_of_no_other_tier(client, world, upstream):
    """400, one event, no ration."""
    world.add_tiers(upstream.url)
    world.replies.errors["r1"] = DataError("does not fit the context")
    with pytest.raises(openai.BadRequestError):
        ask(client)
    assert len(world.events()) == 1
    assert upstream.bodies == []


def test_a_champion_that_hangs_leaves_half_the_time_to_the_next_tier(tmp_path, upstream):
    """The client does not wait longer than its own time-out."""
    world = GatewayWorld(tmp_path, timeout=1.0, threads=2)
    world.add_tiers(upstream.url)
    hang = threading.Event()
    world.replies.before = lambda: hang.wait(5)
    with TestClient(build_app(world.gateway)) as http:
        client = openai_client(http)
        assert said(ask(client)) == "weld"
    hang.set()
    world.close()


def test_usage_counts_every_attempt_with_its_price(client, world, upstream):
    """In the call log, the champion's answer that was replaced as well."""
    world.add_tiers(upstream.url)
    world.replies.confidence = UNSURE
    ask(client)
    (file,) = (world.folder / "calls").iterdir()
    uses = json.loads(file.read_text())["uses"]
    assert uses == [
        {"tier": "champion", "prompt_tokens": 7, "completion_tokens": 2, "cost": 0.0},
        {"tier": "large", "prompt_tokens": 1000, "completion_tokens": 100, "cost": 0.003},
    ]


def test_a_canary_that_is_unsure_goes_to_the_next_tier(client, world, upstream):
    """Not to the champion: the canary answered."""
    world.snapshot = RouteSnapshot("r1", canary=Portion("r2", 1.0))
    world.add_tiers(upstream.url)
    world.replies.confidence = UNSURE
    assert said(ask(client)) == "weld"
    assert [event["route"] for event in world.events()] == ["canary", "escalation"]


@pytest.mark.parametrize("retries", [0, 2])
def test_an_invalid_answer_is_asked_for_again_within_the_bound(client, world, retries):
    """With more room each time; without tiers the last one goes out, marked as cut off."""
    limits = world.workload.limits.model_copy(update={"invalid_retries": retries})
    workload = world.workload.model_copy(update={"limits": limits})
    world.serving["parts"] = type(world.serving["parts"])(workload, "tiny", world.batcher)
    world.replies.output = None
    answer = ask(client)
    assert answer.parse().choices[0].finish_reason == "length"
    *replaced, last = world.events()
    assert len(replaced) == retries
    assert last["inference_id"] == answer.headers["x-flywheel-inference-id"]
    assert {one["shadow_of"] for one in replaced} <= {last["inference_id"]}
    assert (last["shadow_of"], last["error"]) == (None, "cut off")


def test_the_champion_answers_where_the_canary_stays_invalid(client, world):
    """After its retry; its attempts stay the canary's."""
    world.snapshot = RouteSnapshot("r1", canary=Portion("r2", 1.0))
    world.replies.invalid_releases = {"r2"}
    answer = ask(client)
    assert (said(answer), answer.headers["x-flywheel-route"]) == ("seal", "fallback")
    assert [(event["route"], event["output"]) for event in world.events()] == [
        ("canary", None), ("canary", None), ("fallback", "seal"),
    ]  # fmt: skip


def test_a_chats_turns_reach_the_endpoint():
    """Its system text beside the instruction, its examples in the form that is asked for."""
    raw = micro_base.classification().model_dump(mode="json", by_alias=True)
    raw["prompt"] = {
        "system": "You sort reports.",
        "user": "Report: {input}",
        "examples": [{"input": "it drips", "output": "seal"}],
    }
    workload = parse_workload(raw, source="a test")
    with fake_upstream() as upstream:
        endpoint = OpenAiEndpoint(Tier(name="large", url=upstream.url, model="m"), workload)
        assert endpoint.ask("the weld is cracked", {}).output == "weld"
        endpoint.close()
    system, *turns = upstream.bodies[0]["messages"]
    assert system["content"].startswith("You sort reports.")
    assert [turn["content"] for turn in turns] == [
        "Report: it drips", '{"label":"seal"}', "Report: the weld is cracked",
    ]  # fmt: skip


def test_a_text_is_asked_for_as_it_is(upstream):
    """A generation needs no schema: the prompt goes out alone, and the content is the answer."""
    upstream.contents = [reply(1), "  ", reply(2)]
    tier = Tier(name="large", url=upstream.url, model="big-1")
    endpoint = OpenAiEndpoint(tier, replies(), {})
    answer = endpoint.ask(ticket(1), {})
    assert (answer.output, answer.error) == (reply(1), None)
    (body,) = upstream.bodies
    assert "response_format" not in body
    assert body["messages"] == [{"role": "user", "content": f"Ticket: {ticket(1)}\nReply: "}]
    empty = endpoint.ask(ticket(2), {})
    assert empty.output is None
    assert endpoint.ask(ticket(2), {}, empty).output == reply(2)
    assert "not valid" in upstream.bodies[-1]["messages"][-1]["content"]
    endpoint.close()

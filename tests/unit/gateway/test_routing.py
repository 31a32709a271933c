"""Which release answers a request of the gateway, what a failed canary costs, and shadows."""

import threading
import time
from datetime import timedelta

import openai
import pytest
from starlette.testclient import TestClient

from flywheel.errors import DataError, IntegrityError, NotFoundError, UnavailableError
from flywheel.gateway.app import build_app
from flywheel.gateway.arms import Portion, RouteSnapshot
from tests.fakes import waiting
from tests.fakes.gateway_world import NOW, GatewayWorld, ask, openai_client

ALL_CANARY = RouteSnapshot("r1", canary=Portion("r2", 1.0))
SHADOWED = RouteSnapshot("r1", shadow=Portion("r2", 1.0))


def wait_until(met):
    waiting.wait_until(met, seconds=10, pause=0.005)


def shadows(world, outcome):
    counter = world.metrics.shadows.labels("parts", outcome)
    return counter._value.get()


def routes_of(client, **fields):
    return [ask(client, **fields).headers["x-flywheel-route"] for _ in range(12)]


def test_headers_event_and_metrics_name_the_arm(client, world):
    """All say canary and its release."""
    world.snapshot = ALL_CANARY
    answer = ask(client)
    (event,) = world.events()
    arm = (answer.headers["x-flywheel-route"], answer.headers["x-flywheel-release"])
    assert arm == ("canary", "r2") == (event["route"], event["release"])
    labels = {"workload": "parts", "route": "canary", "release": "r2"}
    count = "flywheel_gateway_answer_seconds_count"
    assert world.metrics.registry.get_sample_value(count, labels) == 1


def test_a_person_or_a_conversation_stays_in_its_arm(client, world):
    """Whatever they ask; requests without either are assigned one by one."""
    world.snapshot = RouteSnapshot("r1", canary=Portion("r2", 0.5))
    people = [set(routes_of(client, user=f"u{number}")) for number in range(8)]
    talks = [
        set(routes_of(client, metadata={"conversation_id": f"c{number}"})) for number in range(8)
    ]
    assert all(len(routes) == 1 for routes in people + talks)
    assert {route for routes in people for route in routes} == {"canary", "champion"}
    assert {route for routes in talks for route in routes} == {"canary", "champion"}
    assert set(routes_of(client) + routes_of(client)) == {"canary", "champion"}


@pytest.mark.parametrize(
    "error",
    [
        NotFoundError("r2 is not loaded"),
        UnavailableError("away"),
        IntegrityError("r2 was changed"),
        ZeroDivisionError("a bug"),
    ],
)
def test_the_champion_answers_where_the_canary_fails(client, world, error):
    """The client sees an answer; both attempts are events, and the failed one names the other."""
    world.snapshot = ALL_CANARY
    world.replies.errors["r2"] = error
    answer = ask(client)
    assert answer.parse().choices[0].message.content == "seal"
    assert answer.headers["x-flywheel-route"] == "fallback"
    assert answer.headers["x-flywheel-release"] == "r1"
    failed, answered = world.events()
    assert (failed["route"], failed["release"], failed["response"]) == ("canary", "r2", None)
    assert failed["error"].startswith("50")
    assert failed["shadow_of"] == answered["inference_id"] != failed["inference_id"]
    assert answer.headers["x-flywheel-inference-id"] == answered["inference_id"]
    assert (answered["route"], answered["release"], answered["shadow_of"]) == (
        "fallback", "r1", None,
    )  # fmt: skip
    labels = {"workload": "parts", "release": "r2"}
    assert world.metrics.registry.get_sample_value("flywheel_gateway_fallbacks_total", labels) == 1
    assert world.unloaded == (["r2"] if isinstance(error, NotFoundError) else [])


def test_a_canary_that_hangs_leaves_the_champion_half_the_time(tmp_path):
    """The client does not wait longer than its own time-out."""
    world = GatewayWorld(tmp_path, timeout=1.0, threads=2)
    world.snapshot = ALL_CANARY
    hang = threading.Event()
    world.replies.before_release["r2"] = lambda: hang.wait(5)
    with TestClient(build_app(world.gateway)) as http:
        client = openai_client(http)
        started = time.perf_counter()
        assert ask(client).headers["x-flywheel-route"] == "fallback"
        assert time.perf_counter() - started < 1.0
    failed, _ = world.events()
    assert failed["error"].startswith("504 timeout")
    hang.set()
    world.close()


def test_an_input_at_fault_is_not_asked_again(client, world):
    """It does not fit any release: 400, one event."""
    world.snapshot = ALL_CANARY
    world.replies.errors["r2"] = DataError("does not fit the context")
    with pytest.raises(openai.BadRequestError):
        ask(client)
    assert [event["route"] for event in world.events()] == ["canary"]


def test_where_both_fail_both_are_recorded(client, world):
    """The client gets the champion's error."""
    world.snapshot = ALL_CANARY
    world.replies.error = UnavailableError("away")
    with pytest.raises(openai.InternalServerError):
        ask(client)
    first, second = world.events()
    assert (first["route"], second["route"]) == ("canary", "fallback")
    assert first["shadow_of"] == second["inference_id"]


def test_a_shadow_answers_a_copy_that_nobody_sees(client, world):
    """Its event has an id of its own and names the caller's; nothing else differs in the request."""
    world.snapshot = SHADOWED
    answer = ask(client, user="anna.m")
    assert answer.headers["x-flywheel-release"] == "r1"
    wait_until(lambda: shadows(world, "answered") == 1)
    answered, copy = world.events()
    assert (copy["route"], copy["release"], copy["output"]) == ("shadow", "r2", "seal")
    assert copy["shadow_of"] == answered["inference_id"] != copy["inference_id"]
    assert copy["subject_id"] == answered["subject_id"]
    assert copy["request"] == answered["request"]
    assert answered["shadow_of"] is None


def test_a_stream_is_copied_too(client, world):
    """After its last words."""
    world.snapshot = SHADOWED
    stream = client.chat.completions.create(
        model="parts", messages=[{"role": "user", "content": "x"}], stream=True
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "seal"
    wait_until(lambda: shadows(world, "answered") == 1)


def test_a_shadow_costs_its_share_and_its_ration(client, world):
    """A third of the requests, at most five a day; the next day has its own ration."""
    world.snapshot = RouteSnapshot("r1", shadow=Portion("r2", 0.3))
    world.per_day = 5
    for _ in range(60):
        ask(client)
        wait_until(lambda: not world.shadower.waiting)
    wait_until(lambda: shadows(world, "over ration") > 0)
    assert shadows(world, "answered") == 5
    copies = [event for event in world.events() if event["route"] == "shadow"]
    assert len(copies) == 5
    world.clock.move_to(NOW + timedelta(days=1))
    world.snapshot = SHADOWED
    ask(client)
    wait_until(lambda: shadows(world, "answered") == 6)


def test_a_failed_shadow_is_an_event_and_harms_nobody(client, world):
    """The thread lives on after a bug as well."""
    world.snapshot = SHADOWED
    errors = (NotFoundError("r2 is not loaded"), ZeroDivisionError("a bug"))
    for count, error in enumerate(errors, start=1):
        world.replies.errors["r2"] = error
        assert ask(client).parse().choices[0].message.content == "seal"
        wait_until(lambda count=count: shadows(world, "failed") == count)
    copies = [event for event in world.events() if event["route"] == "shadow"]
    assert [copy["response"] for copy in copies] == [None, None]
    assert copies[0]["error"].startswith("503 release_not_loaded")


def test_a_busy_server_is_not_asked_for_copies(client, world):
    """They are dropped and counted; callers' answers come first."""
    world.snapshot = SHADOWED
    gate = threading.Event()
    ask(client)
    wait_until(lambda: shadows(world, "answered") == 1)
    world.snapshot = RouteSnapshot("r1")
    world.replies.before = lambda: gate.wait(5)
    caller = threading.Thread(target=ask, args=(client,))
    caller.start()
    wait_until(lambda: world.batcher.is_busy)
    for _ in range(6):
        world.shadower.offer(world.last_shadow)
    wait_until(lambda: shadows(world, "busy") == 6)
    gate.set()
    caller.join()
    assert shadows(world, "answered") == 1


def test_a_canarys_own_requests_are_not_copied(client, world):
    """Pairs are of the champion; a fallback has no pair either."""
    world.snapshot = RouteSnapshot("r1", canary=Portion("r2", 1.0), shadow=Portion("r3", 1.0))
    ask(client)
    world.replies.errors["r2"] = UnavailableError("away")
    ask(client)
    assert [event["route"] for event in world.events()] == ["canary", "canary", "fallback"]

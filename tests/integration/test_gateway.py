"""The gateway of a deployment on a real model: what it answers lands in the lake."""

import threading
from datetime import UTC, datetime
from types import SimpleNamespace

import openai
import pytest
import yaml
from starlette.testclient import TestClient

from flywheel.clock import ManualClock
from flywheel.errors import ConcurrencyError
from flywheel.quality.calibration import Calibration
from flywheel.usecases.gateway import open_gateway
from flywheel.usecases.gateway_tiers import TierBasis
from flywheel.usecases.keys import KeyBounds, create_key
from flywheel.usecases.landing import land
from flywheel.wiring import Platform
from tests.fakes import micro_base
from tests.fakes.gateway_world import KEY, build_gateway_home, header
from tests.fakes.openai_upstream import fake_upstream
from tests.fakes.waiting import wait_until

_QUERY = "SELECT input, output, release, client_id FROM inferences"


def answering_threads():
    return {thread for thread in threading.enumerate() if thread.name.startswith("answers-")}


@pytest.fixture
def platform(tmp_path):
    """Return a deployment with one workload on the micro base."""
    settings, _ = build_gateway_home(tmp_path)
    platform = Platform(settings)
    yield platform
    platform.close()


def test_an_answer_lands_in_the_lake(platform):
    """The label's name, not its token; the base answers before the first promotion."""
    with open_gateway(platform) as app, TestClient(app) as http:
        client = openai.OpenAI(base_url="http://testserver/v1", api_key=KEY, http_client=http)
        messages = [{"role": "user", "content": "the seal leaks oil"}]
        answer = client.chat.completions.create(model="parts", messages=messages)
        said = answer.choices[0].message.content
        assert said in {"seal", "seal paint", "weld", "paint"}
        assert http.get("/readyz").json() == {"status": "ready", "problems": []}
    with open_gateway(platform):  # what the first had not sent yet is sent now
        pass
    land(platform)
    (row,) = platform.lake.rows(_QUERY)
    assert row == {
        "input": "the seal leaks oil", "output": f'"{said}"', "release": "base",
        "client_id": "line-4",
    }  # fmt: skip


def test_tiers_answer_and_land_and_a_tier_that_is_away_leaves_the_gateway_ready(platform):
    """A base without an adapter, one that was never built, and an endpoint, in that order."""
    with fake_upstream() as upstream:
        tiers = [
            {"name": "champion"},
            {"name": "unbuilt", "base_model": "smollm2"},
            {"name": "bigger", "base_model": "tiny"},
            {"name": "large", "url": upstream.url, "model": "big-1", "price_in": 1.0},
        ]
        workload = write_tiers(platform, tiers, {"below_confidence": 1.0})
        bigger = workload.on_tier(workload.tiers[2])
        platform.bases.remember(bigger, micro_base.micro_base())
        with open_gateway(platform) as app, TestClient(app) as http:
            client = openai.OpenAI(base_url="http://testserver/v1", api_key=KEY, http_client=http)
            messages = [{"role": "user", "content": "the seal leaks oil"}]
            answer = client.chat.completions.with_raw_response.create(
                model="parts", messages=messages
            )
            assert answer.parse().choices[0].message.content == "weld"
            assert answer.headers["x-flywheel-tier"] == "large"
            upstream.status = 500
            client.chat.completions.create(model="parts", messages=messages)
            assert http.get("/readyz").json() == {"status": "ready", "problems": []}
        with open_gateway(platform):
            pass
    land(platform)
    query = "SELECT route, release, shadow_of IS NULL AS went_out FROM all_inferences ORDER BY inference_id"
    rows = [tuple(row.values()) for row in platform.lake.rows(query)]
    assert rows == [
        ("champion", "base", False),
        ("escalation", "unbuilt", False),
        ("escalation", "bigger", False),
        ("escalation", "large", True),
        ("champion", "base", False),
        ("escalation", "unbuilt", False),
        ("escalation", "bigger", True),
        ("escalation", "large", False),
    ]
    (row,) = platform.lake.rows("SELECT count(*) AS answers FROM answered_inferences")
    assert row["answers"] == 2


def write_tiers(platform, tiers, escalation):
    """Add tiers to the workload's file and return the workload."""
    file = platform.settings.workload_folder / "parts.yaml"
    raw = yaml.safe_load(file.read_text()) | {"tiers": tiers, "escalation": escalation}
    file.write_text(yaml.safe_dump(raw))
    return platform.workload("parts")


def test_a_champions_reference_and_calibration_are_read(platform):
    """The reference is the window before the promotion; the base has neither."""
    workload = write_tiers(platform, [{"name": "champion"}], {})
    basis = TierBasis(platform, workload)
    basis.renew()
    assert (basis.current.calibrations, basis.current.reference) == ({}, None)
    promoted = datetime(2026, 11, 2, tzinfo=UTC)
    release = SimpleNamespace(
        release="r1", promoted_at=promoted, calibration=Calibration("none", 3).facts()
    )
    state = SimpleNamespace(
        releases=SimpleNamespace(of=lambda _: [release]),
        routes=SimpleNamespace(champion=lambda _: "r1"),
    )
    rows = [{"input": f"the seal {number} leaks"} for number in range(120)]
    asked = []
    lake = SimpleNamespace(rows=lambda _, values: asked.append(values) or rows)
    clock = ManualClock(promoted)
    basis = TierBasis(SimpleNamespace(state=state, lake=lake, clock=clock), workload)
    basis.renew()
    basis.renew()
    assert len(asked) == 1
    assert asked[0]["end"] <= promoted.date()
    assert len(basis.current.reference.vectors) == 120
    assert basis.current.confidence("r1", 0.4) == 0.4


def test_gateways_of_one_home_have_spools_of_their_own(platform):
    """One that opens while another one serves sends nothing of its spool."""
    place = platform.home / "gateway"
    with open_gateway(platform), open_gateway(platform):
        assert {file.parent for file in place.rglob("spool.db")} == {place, place / "process-2"}
    with open_gateway(platform) as app, TestClient(app) as http:
        assert http.get("/readyz").status_code == 200


def test_what_a_key_used_at_one_gateway_counts_at_the_other_and_after_a_restart(platform):
    """Within a second, by the state; the budget of a day is one for the deployment."""
    key = create_key(platform, "line-5", person="ann", limits=KeyBounds(tokens_per_day=1)).key
    question = {"model": "parts", "messages": [{"role": "user", "content": "the seal leaks"}]}

    def ask(http):
        sent = {"Authorization": f"Bearer {key}"}
        return http.post("/v1/chat/completions", json=question, headers=sent).status_code

    with open_gateway(platform) as app, TestClient(app) as http:
        with open_gateway(platform) as second, TestClient(second) as other:
            assert ask(http) == 200
            wait_until(lambda: ask(other) == 429)
        assert ask(http) == 429
    with open_gateway(platform) as app, TestClient(app) as http:
        assert ask(http) == 429


def test_a_process_on_a_machine_of_its_own_keeps_its_spool_there(platform, tmp_path):
    """The home may be on a shared file system, on which SQLite keeps no promise; calls stay in it."""
    disk = tmp_path / "disk"
    settings = platform.settings.model_copy(update={"gateway_spool": disk})
    elsewhere = Platform(settings)
    with open_gateway(elsewhere) as app, TestClient(app) as http:
        with (
            pytest.raises(ConcurrencyError, match=r"FLYWHEEL_GATEWAY_SPOOL.*process"),
            open_gateway(elsewhere),
        ):
            pass  # a second one given the same folder by mistake
        question = {"model": "parts", "messages": [{"role": "user", "content": "the seal leaks"}]}
        assert http.post("/v1/chat/completions", json=question, headers=header()).status_code == 200
    assert (disk / "spool.db").is_file()
    assert not list((platform.home / "gateway").rglob("spool.db"))
    assert list((platform.home / "gateway" / "calls").iterdir())
    assert land(elsewhere).read == 1  # sent before the process ended
    elsewhere.close()


def test_a_revoked_key_and_a_broken_file_are_noticed_within_a_second(platform):
    """Neither stops the other workloads; a corrected file is served again."""
    file = platform.settings.workload_folder / "parts.yaml"
    text = file.read_text()
    with open_gateway(platform) as app, TestClient(app) as http:
        file.write_text("id: parts\n")
        wait_until(lambda: http.get("/readyz").status_code == 503)
        assert "parts" in http.get("/readyz").json()["problems"][0]
        file.write_text(text)
        wait_until(lambda: http.get("/readyz").status_code == 200)
        assert http.get("/v1/models", headers=header()).status_code == 200
        platform.state.api_keys.revoke("k1", actor="ann", reason="lost")
        wait_until(lambda: http.get("/v1/models", headers=header()).status_code == 401)


def test_a_file_that_changes_leaves_no_thread_behind(platform):
    """What answered by the former file ends once its last request has been answered."""
    file = platform.settings.workload_folder / "parts.yaml"
    with open_gateway(platform) as app, TestClient(app) as http:
        assert http.get("/readyz").status_code == 200
        former = answering_threads()
        file.write_text(f"{file.read_text()}\ndescription: sorts reports by part\n")
        wait_until(lambda: not former & answering_threads() and len(answering_threads()) == 1)
    assert answering_threads() == set()

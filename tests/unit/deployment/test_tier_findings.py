"""`flywheel doctor` on the tiers beyond the champion."""

import pytest
import yaml

from flywheel.deployment.doctor import examine
from flywheel.wiring import Platform
from tests.fakes.gateway_world import build_gateway_home
from tests.fakes.openai_upstream import fake_upstream

VARIABLE = "BIG_MODEL_KEY"


@pytest.fixture
def upstream():
    """Return an endpoint that lists one model."""
    with fake_upstream() as upstream:
        upstream.models = ["big"]
        yield upstream


@pytest.fixture
def finding(tmp_path, upstream, monkeypatch):
    """Return what asks the doctor about the second tier of a workload, changed as given."""
    monkeypatch.setenv(VARIABLE, "sk-secret")
    settings, workload = build_gateway_home(tmp_path)
    file = settings.workload_folder / f"{workload.id}.yaml"
    raw = yaml.safe_load(file.read_text())

    def ask(**changes):
        second = {"name": "large", "url": upstream.url, "model": "big", "key_variable": VARIABLE}
        raw["tiers"] = [{"name": "champion"}, {k: v for k, v in (second | changes).items() if v}]
        file.write_text(yaml.safe_dump(raw))
        platform = Platform(settings)
        found = [one for one in examine(platform) if one.what == f"tier large of {workload.id}"]
        platform.close()
        assert len(found) == 1
        assert "sk-secret" not in found[0].detail
        return found[0]

    return ask


def test_an_endpoint_that_answers_with_its_model_is_well(finding, upstream):
    """It is asked for its models with the key, which costs nothing."""
    seen = finding()
    assert (seen.good, seen.detail) == (True, f"{upstream.url} answers, big")
    assert upstream.headers[-1]["authorization"] == "Bearer sk-secret"
    upstream.status = 404
    assert finding().good


def test_a_missing_key_is_named_with_its_variable(finding, monkeypatch):
    """Before the first request needs it."""
    monkeypatch.delenv(VARIABLE)
    seen = finding()
    assert not seen.good
    assert f"{VARIABLE} is not set" in seen.detail


def test_what_keeps_an_endpoint_from_answering_is_named(finding, upstream):
    """A refused key, another model, a fault, and an address where nothing listens."""
    upstream.models = ["other"]
    assert "which its endpoint does not list: other" in finding().detail
    upstream.status = 401
    assert "refuses the key (401)" in finding().detail
    upstream.status = 500
    assert "500" in finding().detail
    away = finding(url="http://127.0.0.1:9/v1")
    assert not away.good
    assert "127.0.0.1:9" in away.detail


def test_a_base_that_was_not_built_is_named(finding):
    """A tier without an address is a base model of the model server."""
    seen = finding(url=None, model=None, key_variable=None, base_model="tiny_large")
    assert not seen.good
    assert "flywheel base build" in seen.detail

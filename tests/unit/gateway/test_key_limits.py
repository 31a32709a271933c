"""Budgets of a key: tokens of a day, and requests at a time."""

from datetime import timedelta

import openai
import pytest
from starlette.testclient import TestClient

from flywheel.clock import ManualClock
from flywheel.gateway.api_errors import ApiError
from flywheel.gateway.app import build_app
from flywheel.gateway.calls import read_calls
from flywheel.gateway.key_limits import KeyLimits
from tests.fakes.gateway_world import NOW, GatewayWorld, api_key, openai_client


def _refusal(limits, key):
    with pytest.raises(ApiError) as refused, limits.admitted(key):
        pass
    return refused.value


def test_a_budget_of_tokens_lasts_a_day_in_utc():
    """Retry-After is the next midnight; another key is not concerned."""
    clock = ManualClock(NOW)
    limits, key = KeyLimits(clock), api_key(tokens_per_day=10)
    with limits.admitted(key):
        limits.spend(key.key_id, 10)
    refused = _refusal(limits, key)
    assert (refused.status, refused.code) == (429, "token_budget_exceeded")
    assert refused.headers == {"Retry-After": str(15 * 3600)}
    assert "10 tokens a day (UTC), and 10 are used" in refused.message
    with limits.admitted(api_key(key_id="k2", tokens_per_day=10)):
        pass
    clock.move_to(NOW + timedelta(hours=15))
    with limits.admitted(key):
        assert limits.tokens_used(key.key_id) == 0


def test_requests_at_a_time_are_bounded_by_key_and_in_all():
    """A place is free again after an answer, and after a failure."""
    limits, key = KeyLimits(ManualClock(NOW), at_once=2), api_key(requests_at_once=1)
    with limits.admitted(key):
        refused = _refusal(limits, key)
        assert (refused.status, refused.headers) == (429, {"Retry-After": "1"})
        with limits.admitted(api_key(key_id="k2")):
            assert "2 requests are being answered" in _refusal(limits, api_key(key_id="k3")).message
    with pytest.raises(ZeroDivisionError), limits.admitted(key):
        raise ZeroDivisionError
    assert limits.under_way == 0


def test_a_restart_gives_no_second_budget(tmp_path):
    """Openai's client sees 429 with Retry-After; the call log of today says what was used."""
    world = GatewayWorld(tmp_path, keys=[api_key(tokens_per_day=10)])
    message = {"role": "user", "content": "the seal leaks"}
    with TestClient(build_app(world.gateway)) as http:
        client = openai_client(http)
        for stream in (False, True):  # nine tokens each: the second begins below the limit
            list(client.chat.completions.create(model="parts", messages=[message], stream=stream))
        with pytest.raises(openai.RateLimitError) as refused:
            client.chat.completions.create(model="parts", messages=[message])
    world.close()
    assert refused.value.code == "token_budget_exceeded"
    assert int(refused.value.response.headers["retry-after"]) > 0
    (file,) = (tmp_path / "calls").iterdir()
    file.write_bytes(file.read_bytes() + b"{half a li")
    calls = [call for call in read_calls(tmp_path / "calls", NOW.date(), NOW.date()) if call]
    assert KeyLimits(ManualClock(NOW), calls).tokens_used("k1") == 18
    yesterday = NOW - timedelta(days=1)
    assert KeyLimits(ManualClock(yesterday), calls).tokens_used("k1") == 0

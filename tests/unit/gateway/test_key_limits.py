"""Budgets of a key: tokens of a day, and requests at a time."""

from datetime import timedelta

import openai
import pytest
from starlette.testclient import TestClient

from flywheel.clock import ManualClock
from flywheel.errors import UnavailableError
from flywheel.gateway.api_errors import ApiError
from flywheel.gateway.app import build_app
from flywheel.gateway.key_limits import KeyLimits
from flywheel.gateway.key_use import SharedUse
from flywheel.state.key_use import Used
from tests.fakes.gateway_world import NOW, GatewayWorld, api_key, openai_client
from tests.fakes.key_uses import KeyUses


def _refusal(limits, key):
    with pytest.raises(ApiError) as refused, limits.admitted(key):
        pass
    return refused.value


def test_a_budget_of_tokens_lasts_a_day_in_utc():
    """Retry-After is the next midnight; another key is not concerned."""
    clock = ManualClock(NOW)
    use = SharedUse(KeyUses(), clock)
    limits, key = KeyLimits(clock, use), api_key(tokens_per_day=10)
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
        assert use.tokens(key.key_id) == 0


def test_requests_at_a_time_are_bounded_by_key_and_in_all():
    """A place is free again after an answer, and after a failure."""
    clock = ManualClock(NOW)
    limits = KeyLimits(clock, SharedUse(KeyUses(), clock), at_once=2)
    key = api_key(requests_at_once=1)
    with limits.admitted(key):
        refused = _refusal(limits, key)
        assert (refused.status, refused.headers) == (429, {"Retry-After": "1"})
        with limits.admitted(api_key(key_id="k2")):
            assert "2 requests are being answered" in _refusal(limits, api_key(key_id="k3")).message
    with pytest.raises(ZeroDivisionError), limits.admitted(key):
        raise ZeroDivisionError
    assert limits.under_way == 0


def test_requests_at_a_time_are_those_of_one_process():
    """Two processes that share what keys used each have the key's places, as is documented."""
    clock, uses, key = ManualClock(NOW), KeyUses(), api_key(requests_at_once=1)
    first, second = (KeyLimits(clock, SharedUse(uses, clock)) for _ in range(2))
    with first.admitted(key), second.admitted(key):
        assert _refusal(second, key).status == 429


def test_a_client_is_told_that_its_budget_is_spent(tmp_path):
    """Openai's client sees 429 with Retry-After."""
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
    assert world.use.tokens("k1") == 18


def test_neither_a_restart_nor_a_second_process_gives_a_second_budget():
    """Each knows what all have used, its own at once and that of others after an exchange."""
    clock, uses = ManualClock(NOW), KeyUses()
    first, second = SharedUse(uses, clock), SharedUse(uses, clock)
    first.count("k1", tokens=7)
    assert first.tokens("k1") == 7
    for use in (first, second, first):
        use.exchange()
    second.count("k1", tokens=2)
    assert (first.tokens("k1"), second.tokens("k1")) == (7, 9)
    for use in (second, first):
        use.exchange()
    restarted = SharedUse(uses, clock)
    restarted.exchange()
    assert [use.tokens("k1") for use in (first, second, restarted)] == [9, 9, 9]
    clock.move_to(NOW + timedelta(days=1))
    assert first.tokens("k1") == 0


def test_what_cannot_be_written_stays_counted_and_is_written_once():
    """The state was away for an exchange; what came meanwhile is counted too."""
    clock, uses = ManualClock(NOW), KeyUses()
    use = SharedUse(uses, clock)
    use.count("k1", requests=1, tokens=7)
    uses.away = UnavailableError("The state is away.", next_step="start it")
    with pytest.raises(UnavailableError):
        use.exchange()
    use.count("k1", requests=1, tokens=2)
    assert use.tokens("k1") == 9
    uses.away = None
    clock.move_to(NOW + timedelta(days=1))
    assert [use.exchange(), use.exchange()] == [{}, {}]
    assert uses.uses == {(NOW.date(), "k1"): Used(requests=2, tokens=9)}


def test_a_budget_is_never_larger_while_it_is_written():
    """A request that comes in the middle of an exchange sees what was counted before it."""
    clock, seen = ManualClock(NOW), []

    class Watched(KeyUses):
        def add(self, uses):
            seen.append(use.tokens("k1"))
            super().add(uses)
            use.count("k1", tokens=1)

        def of(self, day):
            seen.append(use.tokens("k1"))
            return super().of(day)

    use = SharedUse(Watched(), clock)
    use.count("k1", tokens=7)
    use.exchange()
    assert [*seen, use.tokens("k1")] == [7, 8, 8]

"""Keys of applications, on SQLite and PostgreSQL."""

from datetime import timedelta

import pytest

from flywheel.errors import NotFoundError


def create(state, key_id="k1", **changes):
    fields = {
        "client_id": "line-4",
        "secret_hash": "0" * 64,
        "workloads": ["parts"],
        "requests_per_minute": 60,
        "expires_at": None,
        "actor": "ann",
    }
    return state.api_keys.create(key_id=key_id, **fields | changes)


def test_a_key_is_kept_with_its_scope_and_is_in_the_audit(state, clock):
    """Valid until it expires."""
    later = clock.now() + timedelta(days=1)
    key = create(state, expires_at=later, tokens_per_day=5_000_000_000, requests_at_once=2)
    assert state.api_keys.get("k1") == key
    assert (key.workloads, key.requests_per_minute, key.created_by) == (("parts",), 60, "ann")
    assert (key.tokens_per_day, key.requests_at_once) == (5_000_000_000, 2)
    assert key.is_valid(clock.now())
    assert not key.is_valid(later)
    assert [row.event for row in state.audit.of("key/k1")] == ["key.created"]


def test_a_revoked_key_stays_revoked(state, clock):
    """The first revocation is the one that is recorded."""
    create(state)
    first = state.api_keys.revoke("k1", actor="bea", reason="lost")
    clock.move_to(clock.now() + timedelta(hours=1))
    assert state.api_keys.revoke("k1", actor="cem", reason="again") == first
    assert not first.is_valid(clock.now())
    assert [row.actor for row in state.audit.of("key/k1")] == ["ann", "bea"]


def test_a_key_that_is_not_there_is_an_error_with_the_choices(state):
    """Also for `revoke`."""
    create(state)
    with pytest.raises(NotFoundError) as missing:
        state.api_keys.revoke("k2", actor="ann", reason="x")
    assert missing.value.next_step == "choose one of: k1"


def test_the_last_use_is_kept(state, clock):
    """Of several keys at once."""
    create(state)
    create(state, "k2")
    state.api_keys.mark_used({"k1": clock.now()})
    assert [key.last_used_at for key in state.api_keys.all()] == [clock.now(), None]

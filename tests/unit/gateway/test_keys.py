"""Only a valid key of the right scope and rate gets through."""

from datetime import timedelta

import pytest

from flywheel.clock import ManualClock
from flywheel.gateway.api_errors import ApiError
from flywheel.gateway.key_use import SharedUse
from flywheel.gateway.keys import KeyRing, hash_secret, new_key
from flywheel.state.key_use import Used
from tests.fakes.gateway_world import HASH_KEY, KEY, NOW, api_key
from tests.fakes.key_uses import KeyUses


def ring_of(*keys, monotonic=lambda: 0.0, uses=None):
    clock = ManualClock(NOW)
    use = SharedUse(uses or KeyUses(), clock)
    ring = KeyRing(lambda: keys, hash_key=HASH_KEY, clock=clock, use=use, monotonic=monotonic)
    ring.renew()
    return ring


def test_a_valid_key_names_its_client():
    """Its use is remembered until it is written."""
    ring = ring_of(api_key())
    assert ring.check(f"Bearer {KEY}").client_id == "line-4"
    assert ring.used() == {"k1": NOW}
    assert ring.used() == {}


def test_a_new_key_is_checked_by_its_hash_alone():
    """The ring never sees the secret but in the request."""
    key_id, secret, text = new_key()
    ring = ring_of(api_key(key_id=key_id, secret_hash=hash_secret(secret, HASH_KEY)))
    assert ring.check(f"Bearer {text}").key_id == key_id
    assert secret not in repr(ring.check(f"bearer {text}"))


@pytest.mark.parametrize(
    "sent",
    [None, "", "Bearer", "Bearer fw-k1", "Bearer fw-k1-", "Bearer fw-k1-opensesamE", "Basic " + KEY,
     "Bearer fw-k2-opensesame", "Bearer xx-k1-opensesame", "Bearer fw-k1-öpen", KEY],
)  # fmt: skip
def test_anything_else_is_refused_alike(sent):
    """Whether the key exists cannot be read off the answer."""
    with pytest.raises(ApiError) as refused:
        ring_of(api_key()).check(sent)
    assert (refused.value.status, refused.value.code) == (401, "invalid_api_key")


@pytest.mark.parametrize("change", [{"revoked_at": NOW}, {"expires_at": NOW}])
def test_revoked_and_expired_keys_are_refused(change):
    """A key is expired at its moment of expiry."""
    with pytest.raises(ApiError):
        ring_of(api_key(**change)).check(f"Bearer {KEY}")
    ring_of(api_key(expires_at=NOW + timedelta(seconds=1))).check(f"Bearer {KEY}")


def test_a_rate_is_kept_and_says_when_to_come_again():
    """Two a minute: the third waits half a minute."""
    seconds = [0.0]
    ring = ring_of(api_key(requests_per_minute=2), monotonic=lambda: seconds[0])
    ring.check(f"Bearer {KEY}")
    ring.check(f"Bearer {KEY}")
    with pytest.raises(ApiError) as refused:
        ring.check(f"Bearer {KEY}")
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "30"})
    seconds[0] = 30.0
    ring.check(f"Bearer {KEY}")


def test_a_rate_is_one_for_all_processes():
    """What one lets through is taken from the other within an exchange, and not twice."""
    seconds, uses = [0.0], KeyUses()
    one, other = (
        ring_of(api_key(requests_per_minute=4), monotonic=lambda: seconds[0], uses=uses)
        for _ in range(2)
    )
    for ring in (one, other):
        ring.share_use()
    for _ in range(3):
        one.check(f"Bearer {KEY}")
    for ring in (one, other, other, one):
        ring.share_use()
    other.check(f"Bearer {KEY}")
    with pytest.raises(ApiError) as refused:
        other.check(f"Bearer {KEY}")
    assert refused.value.code == "rate_limit_exceeded"
    for ring in (other, one):
        ring.share_use()
    with pytest.raises(ApiError):
        one.check(f"Bearer {KEY}")
    seconds[0] = 15.0
    one.check(f"Bearer {KEY}")


def test_a_process_that_begins_owes_nothing_for_what_came_before():
    """The requests of the day until now drain no rate; a key without one is counted as well."""
    uses = KeyUses()
    before = ring_of(api_key(requests_per_minute=2), uses=uses)
    before.check(f"Bearer {KEY}")
    before.share_use()
    late = ring_of(api_key(requests_per_minute=2), uses=uses)
    late.share_use()
    for _ in range(2):
        late.check(f"Bearer {KEY}")
    without = ring_of(api_key(), uses=uses)
    without.check(f"Bearer {KEY}")
    without.share_use()
    assert uses.of(NOW.date())["k1"].requests == 2


def test_what_others_overdrew_is_owed_for_a_bucket_at_most():
    """A process that answered a hundred too many does not silence the others for an hour."""
    seconds, uses = [0.0], KeyUses()
    ring = ring_of(api_key(requests_per_minute=2), monotonic=lambda: seconds[0], uses=uses)
    ring.share_use()
    uses.add({(NOW.date(), "k1"): Used(requests=100)})
    ring.share_use()
    with pytest.raises(ApiError) as refused:
        ring.check(f"Bearer {KEY}")
    assert refused.value.headers == {"Retry-After": "90"}


def test_scopes():
    """No workload in a key's scope means all of them."""
    assert api_key().allows("parts")
    assert api_key(workloads=("parts",)).allows("parts")
    assert not api_key(workloads=("other",)).allows("parts")

"""Only a valid key of the right scope and rate gets through."""

from datetime import timedelta

import pytest

from flywheel.clock import ManualClock
from flywheel.gateway.api_errors import ApiError
from flywheel.gateway.keys import KeyRing, hash_secret, new_key
from tests.fakes.gateway_world import HASH_KEY, KEY, NOW, api_key


def ring_of(*keys, monotonic=lambda: 0.0):
    ring = KeyRing(lambda: keys, hash_key=HASH_KEY, clock=ManualClock(NOW), monotonic=monotonic)
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


def test_scopes():
    """No workload in a key's scope means all of them."""
    assert api_key().allows("parts")
    assert api_key(workloads=("parts",)).allows("parts")
    assert not api_key(workloads=("other",)).allows("parts")

"""Usage counts every call of the days asked for, once."""

from contextlib import closing
from datetime import date, datetime, timedelta
from types import SimpleNamespace

import pytest

from flywheel.gateway.calls import Call, CallLog, TierUse
from flywheel.usecases.usage import TierUsage, Usage, gateway_usage
from tests.fakes.gateway_world import NOW

DAY = NOW.date()


def call(at: datetime = NOW, **changes):
    fields = {
        "key_id": "k1", "client_id": "line-4", "workload_id": "parts", "inference_id": "i",
        "release": "r1", "status": 200, "milliseconds": 3.0, "prompt_tokens": 7,
        "completion_tokens": 2, "input_digest": "d",
    }  # fmt: skip
    return Call(at=at, **fields | changes)


@pytest.fixture
def platform(tmp_path):
    """Return a home with calls of two days, and a line that a crash cut off."""
    with closing(CallLog(tmp_path / "gateway" / "calls")) as log:
        for one in (call(), call(), call(status=503, prompt_tokens=0, completion_tokens=0)):
            log.write(one)
        log.write(
            call(status=401, client_id=None, workload_id=None, prompt_tokens=0, completion_tokens=0)
        )
        log.write(call(at=NOW + timedelta(days=1), client_id="line-5"))
    with (tmp_path / "gateway" / "calls" / f"calls-{DAY}.jsonl").open("ab") as file:
        file.write(b'{"at": "2026-')
    return SimpleNamespace(home=tmp_path)


def test_calls_are_summed_by_client_and_workload(platform):
    """Refused and failed ones apart; the cut-off line is counted as unreadable."""
    report = gateway_usage(platform, start=DAY, end=DAY)
    assert report.usage == (
        Usage(None, None, calls=1, refused=1),
        Usage("line-4", "parts", 3, 0, 1, 14, 4),
    )
    assert report.unreadable == 1


def test_only_the_days_asked_for_count(platform):
    """Both ends are included."""
    following = DAY + timedelta(days=1)
    assert [u.client_id for u in gateway_usage(platform, start=following, end=following).usage] == [
        "line-5"
    ]
    assert len(gateway_usage(platform, start=DAY, end=following).usage) == 3
    assert gateway_usage(platform, start=date(2020, 1, 1), end=date(2020, 1, 2)).usage == ()


def test_tokens_and_cost_are_summed_by_tier(platform):
    """Of every attempt that gave an answer; a call without tiers is the champion's, at no price."""
    uses = (
        TierUse(tier="champion", prompt_tokens=7, completion_tokens=2, cost=0.0),
        TierUse(tier="large", prompt_tokens=1000, completion_tokens=100, cost=0.003),
    )
    day = DAY + timedelta(days=2)
    with closing(CallLog(platform.home / "gateway" / "calls")) as log:
        for _ in range(2):
            log.write(call(at=NOW + timedelta(days=2), release="large", uses=uses))
        log.write(call(at=NOW + timedelta(days=2)))
    report = gateway_usage(platform, start=day, end=day)
    assert report.tiers == (
        TierUsage("parts", "champion", 3, 21, 6, 0.0),
        TierUsage("parts", "large", 2, 2000, 200, 0.006),
    )
    assert report.has_tiers
    assert not gateway_usage(platform, start=DAY, end=DAY).has_tiers

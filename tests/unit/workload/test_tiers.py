"""Tiers of a workload file: what is refused, and with which words."""

import pytest

from flywheel.errors import ConfigurationError
from flywheel.workload.model import parse_workload
from flywheel.workload.tiers import Tier
from tests.fakes import micro_base

CHAMPION = {"name": "champion"}
LARGE = {"name": "large", "url": "https://example.com/v1", "model": "big-1"}
PLAIN = micro_base.classification().model_dump(mode="json", by_alias=True)


def parsed(*tiers, **escalation):
    return parse_workload(PLAIN | {"tiers": list(tiers), "escalation": escalation}, source="a file")


def test_tiers_are_read_in_their_order():
    """A base, and an endpoint with prices per million tokens and headers in any case."""
    small = {"name": "bigger", "base_model": "smollm2"}
    large = LARGE | {"price_in": 2.5, "price_out": 10, "headers": ["X-Trace"]}
    workload = parsed(CHAMPION, small, large, per_day=3)
    assert [tier.name for tier in workload.tiers] == ["champion", "bigger", "large"]
    assert [tier.is_champion for tier in workload.tiers] == [True, False, False]
    assert workload.tiers[2].headers == ("x-trace",)
    assert workload.tiers[2].cost(1_000_000, 100_000) == 3.5
    assert workload.escalation.per_day == 3
    assert parsed().tiers == ()


def test_a_tiers_base_is_recorded_under_a_name_of_its_own():
    """The workload's own base is not touched."""
    bigger = Tier(name="bigger", base_model="smollm2")
    on_tier = micro_base.classification().on_tier(bigger)
    assert (on_tier.id, on_tier.base_model) == ("parts.bigger", "smollm2")


@pytest.mark.parametrize(
    ("tiers", "words"),
    [
        ([LARGE], "first tier is the champion"),
        ([CHAMPION, {"name": "second"}], "name either base_model, or url and model"),
        ([CHAMPION, LARGE, LARGE], "large is the name of two tiers"),
        ([CHAMPION, LARGE | {"name": "base"}], "name of a release"),
        ([CHAMPION, LARGE | {"name": "a-b"}], "name"),
        ([CHAMPION, LARGE | {"model": None}], "name either base_model, or url and model"),
        ([CHAMPION, LARGE | {"base_model": "smollm2"}], "name either base_model, or url and model"),
        ([CHAMPION, LARGE | {"url": "ftp://example.com"}], "https://HOST/v1"),
        ([CHAMPION, LARGE | {"url": "https://u:p@example.com/v1"}], "key_variable"),
        ([CHAMPION, LARGE | {"url": "https://example.com/v1?key=1"}], "key_variable"),
        ([CHAMPION, LARGE | {"url": "http://[::1"}], "https://HOST/v1"),
        ([CHAMPION, LARGE | {"headers": ["Authorization"]}], "authorization is never passed on"),
        ([CHAMPION, LARGE | {"headers": ["Cookie"]}], "cookie is never passed on"),
        ([CHAMPION, LARGE | {"parameters": {"model": "x"}}], "the gateway sets model itself"),
        ([CHAMPION, LARGE | {"price_in": -1}], "price_in"),
        ([CHAMPION | {"key_variable": "K"}, LARGE], "belongs to an endpoint"),
    ],
)
def test_a_tier_that_cannot_be_asked_is_refused(tiers, words):
    """By the file's reader, with what to write instead."""
    with pytest.raises(ConfigurationError) as raised:
        parsed(*tiers)
    assert words in str(raised.value)

"""The section `release` of a workload file."""

import pytest

from flywheel.errors import ConfigurationError
from flywheel.workload.model import Workload
from tests.fakes.release_world import make_workload


def test_a_file_without_the_section_promotes_at_once():
    """As before there was one."""
    assert make_workload("w").release is None


def test_an_empty_section_has_the_defaults():
    """A week of shadow, 10 % and 50 % for a week each."""
    rules = make_workload("w", release={}).release
    assert rules is not None
    assert rules.shadow is not None
    assert rules.shadow.days == 7
    assert [(step.share, step.days) for step in rules.canary] == [(0.1, 7), (0.5, 7)]
    assert rules.guards.margins.errors == 0.02


def test_the_section_is_read_back_from_a_cycle():
    """What a cycle keeps of its workload holds every value that applied."""
    workload = make_workload("w", release={"canary": [{"share": 0.2, "days": 0.5}]})
    dumped = workload.model_dump(mode="json", by_alias=True)
    assert Workload.model_validate(dumped) == workload


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"canary": [{"share": 0.5}, {"share": 0.1}]}, "needs a larger share than the one before"),
        ({"canary": [{"share": 0.5}, {"share": 0.5}]}, "not 0.5, 0.5"),
        ({"canary": [{"share": 1}]}, "release.canary.0.share"),
        ({"canary": [{"days": 1}]}, "release.canary.0.share: Field required"),
        ({"shadow": None, "canary": []}, "leave `release` out to promote at once"),
        ({"canary": [], "first_release": "canary"}, "no step in `canary`"),
        ({"shadow": {"days": 0}}, "release.shadow.days"),
        ({"shadow": {"days": float("nan")}}, "release.shadow.days"),
        ({"shadow": {"share": 0}}, "release.shadow.share"),
        (
            {"guards": {"margins": {"speed": 0.1}}},
            "allowed here: errors, invalid, negative_feedback",
        ),
        ({"steps": []}, "allowed here: canary, first_release, guards, shadow"),
    ],
)
def test_a_wrong_section_is_refused_with_its_path(section, message):
    """At the edge, with what is allowed."""
    with pytest.raises(ConfigurationError) as refused:
        make_workload("w", release=section)
    assert message in refused.value.message

"""What `flywheel doctor` warns of before it fails."""

import os

import pytest

from flywheel.deployment.outlook import (
    DiskOutlook,
    folder_growth,
    open_paths,
    retention_warnings,
    settings_warnings,
    workload_warnings,
)
from flywheel.ports.event_log import TopicSettings
from flywheel.settings import load_settings
from tests.fakes.event_makers import make_workload

_DAY = 86_400


def test_a_disk_that_will_be_full_is_named_with_its_day(tmp_path):
    """Growth is what was written in the last week."""
    now = 1_000_000_000.0
    for name, age in (("new", 1), ("old", 30)):
        (tmp_path / name).write_bytes(b"x" * 7_000)
        os.utime(tmp_path / name, (now, now - age * _DAY))
    assert folder_growth(tmp_path, now=now) == 1_000
    outlook = DiskOutlook(1_000, free=10_000)
    assert not outlook.holds
    assert "full in 10 days" in outlook.sentence()
    assert DiskOutlook(1_000, free=100_000).holds
    assert DiskOutlook(0.0, free=1).holds


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cadence": "monthly", "trigger": {"cooldown_days": 40}}, "never open a cycle"),
        ({"cadence": "monthly", "drift": {"window_days": 14}}, "the calendar always comes"),
    ],
)
def test_rules_that_cannot_take_effect_are_named(changes, words):
    """A rule longer than the period contradicts it."""
    assert words in " ".join(workload_warnings(make_workload(**changes)))


def test_the_defaults_of_a_workload_contradict_nothing():
    """No warning for who changed nothing."""
    assert list(workload_warnings(make_workload())) == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "the default that everybody knows"),
        ({"webhook_url": "http://x"}, "WEBHOOK_SECRET is not set"),
        ({"train_gpus": 1}, "only a training on Ray"),
    ],
)
def test_settings_that_contradict_each_other_are_named(values, words):
    """Each with the variable to change."""
    assert words in " ".join(settings_warnings(load_settings(**values)))


def test_a_short_retention_is_named():
    """Records that nobody reads in time are lost."""
    short = TopicSettings(4, retention_seconds=_DAY)
    compacted = TopicSettings(4, cleanup="compact")
    told = list(retention_warnings({"a": short, "b": compacted, "c": TopicSettings(4)}))
    assert [text[0] for text in told] == ["a", "b"]


def test_a_home_that_others_can_read_is_named(tmp_path):
    """A folder that keeps others out hides what is in it."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "state.db").touch()
    # Whatever the process's umask leaves of a mode that is asked for.
    home.chmod(0o755)
    (home / "state.db").chmod(0o644)
    assert open_paths(home) == [str(home), str(home / "state.db")]
    home.chmod(0o700)
    assert open_paths(home) == []

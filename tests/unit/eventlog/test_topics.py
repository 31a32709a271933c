"""Declared topics: made where missing, compared where they are, never changed."""

import json

import pytest
from typer.testing import CliRunner

from flywheel.cli import topics as command
from flywheel.clock import SystemClock
from flywheel.eventlog.sqlite_log import SqliteEventLog
from flywheel.eventlog.topics import DECLARED, apply_topics, compare_topics
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC, TOPIC_PARTITIONS


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Point the settings at an empty platform."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def log(home):
    """Open the platform's log."""
    opened = SqliteEventLog(home / "log.db", SystemClock())
    yield opened
    opened.close()


def _run(*arguments: str):
    return CliRunner().invoke(command.app, list(arguments), catch_exceptions=False)


def test_missing_topics_are_made_once(log):
    """The second time there is nothing to make."""
    assert [state.found for state in compare_topics(log)] == [None, None]
    assert [state.made for state in apply_topics(log)] == [True, True]
    states = apply_topics(log)
    assert [(state.made, state.differences) for state in states] == [(False, {}), (False, {})]
    assert {state.name for state in states} == set(DECLARED)


def test_a_difference_is_told_and_left_alone(log):
    """A topic with other partitions stays as it is, and both numbers are named."""
    log.create_topic(FEEDBACK_TOPIC, partitions=2)
    states = {state.name: state for state in apply_topics(log)}
    assert states[FEEDBACK_TOPIC].differences == {"partitions": (TOPIC_PARTITIONS, 2)}
    assert states[INFERENCES_TOPIC].differences == {}
    assert log.topic(FEEDBACK_TOPIC).partitions == 2


def test_the_command_says_by_its_exit_code_whether_all_is_as_declared(home, log):
    """Missing or different: 1; made or as declared: 0."""
    shown = _run("show")
    assert shown.exit_code == 1
    assert "missing" in shown.stdout
    assert _run("apply").exit_code == 0
    assert "as declared" in _run("show").stdout
    log.delete_topic(FEEDBACK_TOPIC)
    log.create_topic(FEEDBACK_TOPIC, partitions=1)
    differing = _run("apply", "--json")
    assert differing.exit_code == 1
    found = {row["name"]: row for row in json.loads(differing.stdout)}
    assert found[INFERENCES_TOPIC]["state"] == "as declared"
    assert found[FEEDBACK_TOPIC]["state"] == "differs"
    assert found[FEEDBACK_TOPIC]["differences"] == {"partitions": [TOPIC_PARTITIONS, 1]}

"""Stages of a release and the looks at them, on SQLite and PostgreSQL."""

from datetime import timedelta

import pytest

from flywheel.errors import ConcurrencyError

STAGE = {"release": "r2", "champion": "r1", "number": 1, "kind": "shadow", "share": 0.2}


def begin(state, lease, **changes):
    return state.stages.begin("w", **STAGE | {"reason": "approved by bob"} | changes, lease=lease)


def test_a_stage_is_recorded_from_its_beginning_to_its_end(state, clock):
    """The reason of its end follows that of its beginning."""
    with state.leases.hold("champion:w") as lease:
        stage = begin(state, lease)
        assert state.stages.current("w") == stage
        assert (stage.began_at, stage.ended_at, stage.outcome) == (clock.now(), None, None)
        clock.move_to(clock.now() + timedelta(days=7))
        ended = state.stages.end(stage, "advanced", "not worse", lease=lease)
    assert (ended.ended_at, ended.outcome) == (clock.now(), "advanced")
    assert ended.reason == "approved by bob; not worse"
    assert state.stages.current("w") is None
    assert state.stages.of("w") == [ended]
    assert state.stages.of("other") == []


def test_one_release_at_a_time_is_in_a_stage(state):
    """A second one waits for the end of the first; another workload does not."""
    with state.leases.hold("champion:w") as lease:
        begin(state, lease)
        with pytest.raises(ConcurrencyError, match="r2 is in shadow"):
            begin(state, lease, release="r3")
    with state.leases.hold("champion:v") as lease:
        assert state.stages.begin("v", **STAGE, reason="", lease=lease).workload_id == "v"


def test_a_stage_ends_once(state):
    """The second of two that end it is refused, and changes nothing."""
    with state.leases.hold("champion:w") as lease:
        stage = begin(state, lease)
        first = state.stages.end(stage, "rolled_back", "worse", lease=lease)
        with pytest.raises(ConcurrencyError, match="ended already"):
            state.stages.end(stage, "advanced", "not worse", lease=lease)
    assert state.stages.get(stage.id) == first


def test_a_lost_lease_writes_no_stage_and_no_route(state, clock):
    """Whoever was frozen and lost its lease changes nothing afterwards."""
    old = state.leases.acquire("champion:w", "one", 60)
    stage = begin(state, old)
    clock.move_to(clock.now() + timedelta(minutes=2))
    state.leases.acquire("champion:w", "two", 60)
    with pytest.raises(ConcurrencyError, match="lost"):
        begin(state, old, release="r3")
    with pytest.raises(ConcurrencyError, match="lost"):
        state.stages.end(stage, "advanced", "", lease=old)
    with pytest.raises(ConcurrencyError, match="lost"):
        state.routes.set_stage("w", "canary", release="r2", weight=0.1, reason="", lease=old)
    with pytest.raises(ConcurrencyError, match="lost"):
        state.routes.clear_stages("w", lease=old)
    assert state.stages.current("w") == stage
    assert state.routes.of("w") == []


def test_a_release_is_on_one_stage_route(state):
    """Canary takes the place of shadow; the champion's row stays."""
    with state.leases.hold("champion:w") as lease:
        state.routes.switch_champion("w", expected="base", release="r1", reason="", lease=lease)
        state.routes.set_stage("w", "shadow", release="r2", weight=0.2, reason="", lease=lease)
        state.routes.set_stage("w", "canary", release="r2", weight=0.1, reason="", lease=lease)
        rows = [(row.route, row.release, row.weight) for row in state.routes.of("w")]
        assert rows == [("canary", "r2", 0.1), ("champion", "r1", 1.0)]
        state.routes.clear_stages("w", lease=lease)
    assert [row.route for row in state.routes.of("w")] == ["champion"]


def test_looks_are_listed_in_order_with_their_figures(state, clock):
    """Verdicts over time."""
    with state.leases.hold("champion:w") as lease:
        stage = begin(state, lease)
    state.stages.add_look(stage, outcome="go_on", reason="few", figures={"pairs": 3})
    clock.move_to(clock.now() + timedelta(hours=1))
    state.stages.add_look(stage, outcome="worse", reason="errors", figures={"pairs": 90})
    looks = state.stages.looks(stage)
    assert [(look.outcome, look.figures["pairs"]) for look in looks] == [
        ("go_on", 3),
        ("worse", 90),
    ]
    assert looks[-1].at == clock.now()

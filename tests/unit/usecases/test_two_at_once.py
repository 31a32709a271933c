"""Two processes that do the same at the same moment: one outcome, and a clear error for the other."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace

import pytest

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.errors import ConcurrencyError, RefusedError
from flywheel.lake.maintenance import maintain
from flywheel.usecases import cycle_steps
from flywheel.usecases.by_hand import open_by_hand
from flywheel.usecases.cycle_steps import run_steps
from flywheel.usecases.drift import refresh_recent_profiles
from flywheel.usecases.observe import decide
from tests.fakes.hand_world import START, HandWorld
from tests.fakes.review_world import put_answers


@pytest.fixture
def worlds(tmp_path):
    """Open one deployment twice, with connections of their own, as two processes do."""
    made = [HandWorld(tmp_path), HandWorld(tmp_path)]
    yield made
    for world in made:
        world.close()


def at_once(*actions):
    """Run actions from the same moment on; return their results, an error in place of one."""
    start = threading.Barrier(len(actions))

    def run(action):
        start.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        ended = [pool.submit(run, action) for action in actions]
        return [one.exception() or one.result() for one in ended]


def put_texts(world):
    """Land four answers, a commit each."""
    for number in range(4):
        row = {
            "inference_id": f"i{number}",
            "timestamp": START - timedelta(days=2),
            "input": f"text {number}",
            "output": "x",
        }
        put_answers(world.lake, world.workloads["parts"], [row], landed_at=START)


def test_one_of_two_opens_a_cycle(worlds):
    """The other is told which one is open."""
    ann = {"person": "Ann", "reason": "now"}
    ended = at_once(*(lambda w=w: open_by_hand(w, "parts", **ann) for w in worlds))
    [refused] = [one for one in ended if isinstance(one, Exception)]

    assert isinstance(refused, RefusedError)
    assert "2026Q4-1 of parts is still open" in refused.message
    assert [cycle.name for cycle in worlds[0].state.cycles.of("parts")] == ["2026Q4-1"]
    assert len(worlds[0].state.decisions.of("parts")) == 1


def test_one_of_two_runs_the_steps(worlds, monkeypatch):
    """The other is refused before it has read or written anything."""
    ran, refused = [], threading.Event()

    def assemble(*_):
        ran.append(1)
        refused.wait(3)
        return SimpleNamespace(counts={"train": 1}, hash="a" * 64)

    def run(world):
        try:
            run_steps(world, CycleRef("parts", "2026Q4-1"), ["dataset"])
        except ConcurrencyError:
            refused.set()
            raise

    monkeypatch.setattr(cycle_steps, "assemble_dataset", assemble)
    monkeypatch.setattr(cycle_steps, "record_forecast", lambda *_: None)
    open_by_hand(worlds[0], "parts", person="Ann", reason="now")
    ended = at_once(*(lambda w=w: run(w) for w in worlds))

    assert sorted(type(one).__name__ for one in ended) == ["ConcurrencyError", "NoneType"]
    assert ran == [1]


def test_two_maintenances_keep_every_row_once(worlds):
    """Both end well: the second finds less to do."""
    put_texts(worlds[0])
    ended = at_once(*(lambda w=w: maintain(w.lake, now=START) for w in worlds))

    assert [one for one in ended if isinstance(one, Exception)] == []
    rows = worlds[0].lake.rows("select inference_id from stored.inferences order by 1")
    assert [row["inference_id"] for row in rows] == ["i0", "i1", "i2", "i3"]


def test_two_schedulers_open_one_cycle(worlds):
    """Two daemons that tick at the same moment are told of the same cycle, or that it is open."""
    put_texts(worlds[0])
    for world in worlds:
        world.clock.move_to(START + timedelta(days=100))  # past the calendar's date
    ended = at_once(*(lambda w=w: decide(w, w.workloads["parts"]) for w in worlds))

    assert [one for one in ended if isinstance(one, Exception)] == []
    assert len({one.cycle for one in ended if one.cycle is not None}) == 1
    assert len(worlds[0].state.cycles.of("parts")) == 1
    worlds[0].state.audit.verify()


def test_two_that_profile_a_day_count_it_once(worlds):
    """One of two may be refused, and is right the next time; no day is in the table twice."""
    workload = worlds[0].workloads["parts"]
    put_texts(worlds[0])
    ended = at_once(*(lambda w=w: refresh_recent_profiles(w, workload) for w in worlds))

    assert all(isinstance(one, int | ConcurrencyError) for one in ended)
    refresh_recent_profiles(worlds[0], workload)
    twice = 'select 1 from profiles group by day, "column", kind, key having count(*) > 1'
    assert worlds[0].lake.rows("select 1 from profiles")
    assert worlds[0].lake.rows(twice) == []

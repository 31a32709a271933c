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


def test_two_maintenances_keep_every_row_once(tmp_path, worlds):
    """Both end well: the second finds less to do."""
    workload = worlds[0].workloads["parts"]
    for number in range(4):
        row = {
            "inference_id": f"i{number}",
            "timestamp": START - timedelta(days=2),
            "input": f"text {number}",
            "output": "x",
        }
        put_answers(worlds[0].lake, workload, [row], landed_at=START)
    ended = at_once(*(lambda w=w: maintain(w.lake, now=START) for w in worlds))

    assert [one for one in ended if isinstance(one, Exception)] == []
    rows = worlds[0].lake.rows("select inference_id from stored.inferences order by 1")
    assert [row["inference_id"] for row in rows] == ["i0", "i1", "i2", "i3"]

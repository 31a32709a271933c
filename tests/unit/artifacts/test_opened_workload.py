"""A cycle keeps the workload that it was opened with, and the two kinds are not mixed up."""

from typing import get_type_hints

import pytest

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.clock import ManualClock
from flywheel.dataset.build import build_dataset
from flywheel.dataset.directed import directed_cases
from flywheel.drift.measure import measure_drift
from flywheel.errors import ConfigurationError
from flywheel.evaluate.run import run_gate
from flywheel.release.changelog import describe_changes
from flywheel.release.model_card import write_model_card
from flywheel.review.merging.collect import collect
from flywheel.review.sampling.batches import sample_batch
from flywheel.review.sampling.directed import draw_directed
from flywheel.state import State
from flywheel.trigger.ledger import gather_signals
from flywheel.trigger.policy import decide_trigger
from flywheel.workload.model import Workload
from tests.fakes.release_world import START, make_workload


@pytest.fixture
def state(tmp_path):
    """Return an empty state."""
    opened = State.open(f"sqlite:///{tmp_path / 'state.db'}", ManualClock(START))
    yield opened
    opened.close()


def _open(state, workload, snapshot):
    return state.cycles.open(
        workload,
        trigger="manual",
        opened_by="ann",
        reason="now",
        watermark=START,
        snapshot=snapshot,
    )


def test_a_cycle_keeps_the_workload_that_it_was_opened_with(state):
    """An edit of the file changes the present workload and no cycle that is open."""
    before = make_workload("parts")
    cycle = _open(state, before, before.model_dump(mode="json", by_alias=True))
    edited = make_workload("parts", gates={"margin": 0.2}, owner="bo")
    opened = state.cycles.get(cycle.ref).opened
    assert opened == OpenedWorkload(CycleRef("parts", cycle.name), before)
    assert opened.workload.gates.margin != edited.gates.margin


def test_an_unreadable_snapshot_names_its_cycle(state):
    """The error says which cycle holds it."""
    cycle = _open(state, make_workload("parts"), {"id": "parts"})
    with pytest.raises(ConfigurationError, match=f"the snapshot of cycle {cycle.name}"):
        _ = cycle.opened


@pytest.mark.parametrize(
    "decides", [build_dataset, directed_cases, run_gate, describe_changes, write_model_card]
)
def test_what_decides_about_a_cycle_takes_the_opened_workload(decides):
    """One of the two kinds, and not the present workload beside it."""
    hints = set(get_type_hints(decides).values())
    assert OpenedWorkload in hints
    assert Workload not in hints


@pytest.mark.parametrize(
    "decides", [gather_signals, decide_trigger, sample_batch, draw_directed, collect, measure_drift]
)
def test_what_looks_at_the_present_takes_the_present_workload(decides):
    """Neither kind is a subclass of the other, so that a mix-up is an error of types."""
    assert Workload in get_type_hints(decides).values()
    assert not issubclass(OpenedWorkload, Workload)


def test_a_cycle_prints_as_the_subject_of_its_audit_rows():
    """Workload and name in this order."""
    assert str(CycleRef("parts", "2026Q2-1")) == "parts/2026Q2-1"

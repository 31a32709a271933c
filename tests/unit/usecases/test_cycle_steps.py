"""Steps of a cycle that a person runs: in order, alone, and beside nobody else."""

from types import SimpleNamespace

import pytest

from flywheel.errors import ConcurrencyError, RefusedError
from flywheel.usecases import cycle_steps
from flywheel.usecases.by_hand import open_by_hand
from flywheel.usecases.cycle_steps import is_run_by_hand, run_steps
from tests.fakes.hand_world import HandWorld


@pytest.fixture
def world(tmp_path):
    world = HandWorld(tmp_path)
    yield world
    world.close()


@pytest.fixture
def steps(world, monkeypatch):
    """Return the steps that ran, each with whether another process would be kept away."""
    ran = []

    def step(name, result):
        def run(*_, **__):
            ran.append((name, is_run_by_hand(world.state, "parts")))
            return result

        return run

    snapshot = SimpleNamespace(counts={"train": 40, "golden": 9}, hash="a" * 64)
    result = SimpleNamespace(release="parts.r1", metrics={"loss": 0.9, "final_loss": 0.5})
    report = SimpleNamespace(outcome="pass", reasons=("good",))
    monkeypatch.setattr(cycle_steps, "assemble_dataset", step("dataset", snapshot))
    monkeypatch.setattr(cycle_steps, "record_forecast", lambda *_: None)
    monkeypatch.setattr(cycle_steps, "check_without_training", lambda *_, **__: None)
    monkeypatch.setattr(cycle_steps, "train_candidate", step("train", result))
    monkeypatch.setattr(cycle_steps, "judge_candidate", step("gate", report))
    return ran


def test_all_steps_run_in_order_under_a_lease(world, steps):
    """Each tells its result; afterwards the lease is free."""
    cycle = open_by_hand(world, "parts", person="ann", reason="now")
    results = {}
    run_steps(world, cycle.ref, on_step=results.__setitem__)

    assert steps == [("dataset", True), ("train", True), ("gate", True)]
    assert results["dataset"] == f"40 train, 9 golden; hash {'a' * 12}"
    assert results["train"] == "parts.r1, final loss 0.5000"
    assert results["gate"] == "pass: good"
    assert not is_run_by_hand(world.state, "parts")


def test_no_step_begins_in_silence(world, steps):
    """What is being done is said before it is done."""
    cycle = open_by_hand(world, "parts", person="ann", reason="now")
    lines = []
    run_steps(
        world,
        cycle.ref,
        on_step=lambda step, _: lines.append(step),
        on_progress=lambda line, *_: lines.append(line),
    )
    assert lines == [
        "reading what people accepted",
        "forecasting what more judgments would bring",
        "dataset",
        "starting the trainer, which loads the base model and the rows",
        "train",
        "loading the base model and the releases that are compared",
        "gate",
    ]


def test_one_step_can_be_repeated(world, steps):
    """A step alone, as often as one likes."""
    cycle = open_by_hand(world, "parts", person="ann", reason="now")
    for _ in range(2):
        run_steps(world, cycle.ref, ["train"])

    assert [name for name, _ in steps] == ["train", "train"]


def test_a_second_process_is_refused(world, steps):
    """Two trainings into one folder would spoil both."""
    cycle = open_by_hand(world, "parts", person="ann", reason="now")
    with world.state.leases.hold("cycle-steps:parts"), pytest.raises(ConcurrencyError):
        run_steps(world, cycle.ref)

    assert steps == []


def test_a_candidate_that_waits_for_a_verdict_is_not_replaced(world, steps):
    """The gate may be repeated; another dataset or training takes a new attempt."""
    cycle = open_by_hand(world, "parts", person="ann", reason="now")
    world.state.cycles.set_status(cycle.ref, "awaiting_approval", "passed")
    run_steps(world, cycle.ref, ["gate"])
    with pytest.raises(RefusedError) as refused:
        run_steps(world, cycle.ref)

    assert [name for name, _ in steps] == ["gate"]
    assert f"flywheel cycle retry parts {cycle.name}" in refused.value.next_step


@pytest.mark.parametrize(
    ("statuses", "command"),
    [(["gated_fail"], "cycle retry"), (["awaiting_approval", "rejected"], "cycle open")],
)
def test_a_cycle_that_is_over_says_how_to_go_on(world, steps, statuses, command):
    """A failed one goes on with an attempt, a closed one with the next cycle."""
    cycle = open_by_hand(world, "parts", person="ann", reason="now")
    for status in statuses:
        world.state.cycles.set_status(cycle.ref, status, "why")
    with pytest.raises(RefusedError) as refused:
        run_steps(world, cycle.ref)

    assert command in refused.value.next_step
    assert steps == []

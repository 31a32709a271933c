"""A workload as its file says now and as a cycle opened it: a type checker tells them apart.

Each ``type: ignore`` stands for an error that mypy must report: where one is no longer reported, the
comment is unused and `make check` fails.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, assert_type

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.dataset.build import build_dataset
from flywheel.dataset.directed import directed_cases
from flywheel.drift.measure import measure_drift
from flywheel.evaluate.run import run_gate
from flywheel.lake import Lake
from flywheel.release.changelog import describe_changes
from flywheel.release.model_card import write_model_card
from flywheel.review.sampling.batches import sample_batch
from flywheel.review.sampling.directed import draw_directed
from flywheel.state import Attempt, Cycle, State
from flywheel.trigger.ledger import gather_signals
from flywheel.trigger.policy import decide_trigger
from flywheel.wiring import Platform


def check_a_cycle_goes_by_the_opened_workload(
    lake: Lake, platform: Platform, rest: dict[str, Any], home: Path, now: datetime
) -> None:
    """Dataset, gate and promotion refuse the workload as its file says now."""
    present = platform.workload("tickets")
    build_dataset(lake, present, home=home, now=now)  # type: ignore[arg-type]
    directed_cases(lake, present, [], hash_key="")  # type: ignore[arg-type]
    run_gate(lake, platform.state, platform.server(present), present, **rest)  # type: ignore[arg-type]
    describe_changes(lake, present, "snapshot", None)  # type: ignore[arg-type]
    write_model_card(present, **rest)  # type: ignore[arg-type]


def check_triggers_review_and_drift_go_by_the_present_workload(
    lake: Lake, cycle: Cycle, state: State, rest: dict[str, Any], now: datetime
) -> None:
    """They refuse the workload that a cycle was opened with."""
    opened = cycle.opened
    gather_signals(lake, state, opened, now=now)  # type: ignore[arg-type]
    decide_trigger(opened, rest["signals"], now)  # type: ignore[arg-type]
    sample_batch(lake, rest["queue"], opened, **rest)  # type: ignore[arg-type]
    draw_directed(lake, rest["queue"], opened, **rest)  # type: ignore[arg-type]
    measure_drift(lake, opened, **rest)  # type: ignore[arg-type]


def check_a_cycle_is_one_value(
    state: State, attempt: Attempt, show: Callable[[str], None], cycle: Cycle
) -> None:
    """Two strings are not a cycle, and the artifacts of an attempt have types."""
    state.cycles.get("tickets")  # type: ignore[arg-type]
    assert_type(cycle.ref, CycleRef)
    assert_type(cycle.opened, OpenedWorkload)
    show(attempt.facts["release"])  # type: ignore[arg-type]
    if attempt.candidate is not None:
        show(attempt.candidate.release)

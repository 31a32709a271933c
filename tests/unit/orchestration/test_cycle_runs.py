"""A person's run of a cycle is kept away from one of Dagster's."""

import dagster as dg
import pytest
from dagster._core.events import EngineEventData

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.cli import cycle as command
from flywheel.errors import RefusedError
from flywheel.io.machine import this_machine
from flywheel.orchestration.cycle_runs import cycle_run_under_way
from flywheel.orchestration.instance import open_instance, prepare_dagster_home
from flywheel.orchestration.workers import MACHINE_TAG
from flywheel.settings import Settings
from tests.fakes.hand_world import HandWorld

RUN = "6f1d7c51-9a3f-4a5e-8f7d-0f6a2f7f0001"


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path)


def add_run(settings, status, machine=None):
    """Leave a run of a cycle in Dagster's storage, with a process that is not there (any more)."""
    with open_instance(prepare_dagster_home(settings)) as instance:
        instance.add_run(
            dg.DagsterRun(
                job_name="parts_cycle_job",
                run_id=RUN,
                status=status,
                tags={"dagster/partition": "2026Q4-1"}
                | ({MACHINE_TAG: machine} if machine else {}),
            )
        )
        if machine:
            gone = EngineEventData({"pid": dg.MetadataValue.text(str(2**22 + 1))})
            instance.report_engine_event("Started", instance.get_run_by_id(RUN), gone)


def test_a_run_that_starts_of_the_same_cycle_is_found(settings):
    """Another cycle's and another workload's are not it."""
    add_run(settings, dg.DagsterRunStatus.STARTING)

    assert cycle_run_under_way(settings, CycleRef("parts", "2026Q4-1")) == RUN
    assert cycle_run_under_way(settings, CycleRef("parts", "2026Q4-2")) is None
    assert cycle_run_under_way(settings, CycleRef("other", "2026Q4-1")) is None


def test_a_finished_run_is_in_nobodys_way(settings):
    """A cycle whose run failed can be run by hand."""
    add_run(settings, dg.DagsterRunStatus.FAILURE)

    assert cycle_run_under_way(settings, CycleRef("parts", "2026Q4-1")) is None


@pytest.mark.parametrize(
    ("machine", "found"), [(this_machine(), None), ("pod-7~1f~pid:[4026531836]", RUN)]
)
def test_a_process_id_counts_on_its_own_machine_alone(settings, machine, found):
    """A run in another pod goes on whatever the process ids of this one are."""
    add_run(settings, dg.DagsterRunStatus.STARTED, machine)

    assert cycle_run_under_way(settings, CycleRef("parts", "2026Q4-1")) == found


def test_the_command_refuses_beside_it(settings, tmp_path):
    """Two trainings into one folder would spoil both."""
    add_run(settings, dg.DagsterRunStatus.STARTING)
    world = HandWorld(tmp_path)
    try:
        with pytest.raises(RefusedError, match=RUN):
            command._refuse_beside_dagster(world, CycleRef("parts", "2026Q4-1"))
    finally:
        world.close()

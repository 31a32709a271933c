"""One workload's queue that fails keeps nobody else's judgments waiting."""

from types import SimpleNamespace

import dagster as dg
import pytest

from flywheel.clock import ManualClock
from flywheel.errors import IntegrityError
from flywheel.orchestration.automation import Automation
from flywheel.ports.review_queue import QueueStatus
from sensors.reviews import finished_reviews_sensor
from tests.fakes.review_world import END, classification, extraction

WORKLOADS = [classification(), extraction()]


def evaluate(broken):
    """Evaluate the sensor over queues of which some are broken."""

    def status(workload):
        if workload.id in broken:
            raise IntegrityError("it is damaged", next_step="restore it")
        return QueueStatus(1, 1, 1, 1, changed="1-1")

    platform = SimpleNamespace(
        clock=ManualClock(END),
        queue=SimpleNamespace(status=status),
        state=SimpleNamespace(inbox=SimpleNamespace(pending=dict)),
        settings=SimpleNamespace(review_queue="local"),
    )
    jobs = [
        dg.define_asset_job(f"{workload.id}_review_job", selection="*") for workload in WORKLOADS
    ]
    sensor = finished_reviews_sensor(WORKLOADS, jobs, Automation())
    context = dg.build_sensor_context(resources={"platform": platform})
    return sensor(context)


def test_the_others_judgments_are_collected():
    """The run of the good workload is asked for, and the broken one is tried again."""
    result = evaluate({"defects"})
    assert [request.job_name for request in result.run_requests] == ["reports_review_job"]
    assert "defects" not in result.cursor


def test_where_all_fail_the_tick_fails():
    """Dagster shows the first reason."""
    with pytest.raises(IntegrityError, match="damaged"):
        evaluate({"defects", "reports"})

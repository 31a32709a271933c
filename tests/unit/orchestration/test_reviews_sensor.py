"""One workload's queue that fails keeps nobody else's judgments waiting."""

import dagster as dg
import pytest

from flywheel.clock import ManualClock
from flywheel.errors import IntegrityError
from flywheel.orchestration.automation import Automation
from flywheel.ports.review_queue import QueueStatus
from flywheel.settings import Settings
from flywheel.wiring import Platform
from sensors.reviews import finished_reviews_sensor
from tests.fakes.review_world import END, classification, extraction

WORKLOADS = [classification(), extraction()]


class Queues:
    """A review queue that is broken for some workloads and has news for the others."""

    name = "local"

    def __init__(self, broken) -> None:
        self.broken = broken

    def status(self, workload):
        """Count items and judgments, or fail."""
        if workload.id in self.broken:
            raise IntegrityError("it is damaged", next_step="restore it")
        return QueueStatus(1, 1, 1, 1, changed="1-1")


@pytest.fixture
def evaluate(tmp_path):
    """Return a function that evaluates the sensor over queues of which some are broken."""
    settings = Settings(home=tmp_path, workloads=tmp_path / "workloads")
    opened = []

    def evaluate(broken):
        platform = Platform(settings, ManualClock(END), queue=Queues(broken))
        opened.append(platform)
        return _evaluate(platform)

    yield evaluate
    for platform in opened:
        platform.close()


def _evaluate(platform):
    jobs = [
        dg.define_asset_job(f"{workload.id}_review_job", selection="*") for workload in WORKLOADS
    ]
    sensor = finished_reviews_sensor(WORKLOADS, jobs, Automation())
    context = dg.build_sensor_context(resources={"platform": platform})
    return sensor(context)


def test_the_others_judgments_are_collected(evaluate):
    """The run of the good workload is asked for, and the broken one is tried again."""
    result = evaluate({"defects"})
    assert [request.job_name for request in result.run_requests] == ["reports_review_job"]
    assert "defects" not in result.cursor


def test_where_all_fail_the_tick_fails(evaluate):
    """Dagster shows the first reason."""
    with pytest.raises(IntegrityError, match="damaged"):
        evaluate({"defects", "reports"})

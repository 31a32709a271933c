"""A backfill on a real Ray cluster: its worker is killed in the middle, and every text has one answer."""

import psutil
import pytest

from flywheel.train.launch.exchange import Exchange
from flywheel.usecases.backfill.on_ray import RayExecutor
from tests.fakes.backfill_world import MicroBackfillWorld

pytestmark = [
    pytest.mark.services("ray"),
    pytest.mark.slow,
    pytest.mark.timeout(900),
    # The adapter has weights for one layer alone.
    pytest.mark.filterwarnings("ignore:Found missing adapter keys"),
]


@pytest.fixture
def world(tmp_path):
    """Return calls of three days and a release with real weights."""
    made = MicroBackfillWorld(tmp_path)
    yield made
    made.close()


def _workers() -> list[psutil.Process]:
    # Ray names a worker's process by the actor in it.
    return [
        process
        for process in psutil.process_iter()
        if any("MapWorker" in word for word in _command(process))
    ]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_a_worker_that_is_killed_costs_nothing_and_doubles_nothing(ray_cluster, world, tmp_path):
    """The answers are those of this process; a repeated call asks nothing."""
    executor = RayExecutor(ray_cluster, (tmp_path / "exchange").as_uri())
    parts, killed, notices = [], [], []

    def kill(part):
        parts.append(part)
        if not killed:
            killed.extend(_workers())
            for process in killed:
                process.kill()

    report = world.backfill(executor=executor, on_part=kill, on_notice=notices.append, part_rows=1)
    assert killed
    assert len(parts) > 1
    assert (report.landed, report.failed) == (30, 0)
    assert world.ids() == [f"i{number:05d}" for number in range(30)]
    assert Exchange(executor.exchange_url).names("runs") == []
    assert world.answers() == world.answers_here()
    again = world.backfill(executor=executor, on_notice=notices.append)
    assert (again.landed, again.known) == (0, 30)

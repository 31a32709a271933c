"""A backfill on a real Ray cluster: its worker is killed in the middle, and every text has one answer."""

from datetime import date
from pathlib import Path

import psutil
import pytest

from flywheel.train.launch.exchange import Exchange
from flywheel.usecases.backfill.on_ray import RayExecutor
from tests.fakes.backfill_world import FIRST, MicroBackfillWorld

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


def _workers(token: str | None) -> list[psutil.Process]:
    # Ray names a worker's process by the actor in it; its environment says of which cluster it is.
    found = []
    for process in psutil.process_iter():
        try:
            if any("MapWorker" in word for word in process.cmdline()):
                file = process.environ().get("RAY_AUTH_TOKEN_PATH")
                if file is not None and Path(file).read_text() == token:
                    found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def test_a_worker_that_is_killed_costs_nothing_and_doubles_nothing(ray_cluster, world, tmp_path):
    """The answers are those of this process, errors among them; a repeated call asks nothing."""
    world.call([30], input="report " * 400)
    executor = RayExecutor(ray_cluster, (tmp_path / "exchange").as_uri())
    parts, killed, notices = [], [], []

    def kill(part):
        parts.append(part)
        if not killed:
            killed.extend(_workers(ray_cluster.token))
            for process in killed:
                process.kill()

    days = FIRST, date(2026, 3, 5)
    options = {"executor": executor, "on_notice": notices.append}
    report = world.backfill(*days, **options, on_part=kill, part_rows=1)
    assert killed
    assert len(parts) > 1
    assert (report.landed, report.failed) == (31, 1)
    assert world.ids() == [f"i{number:05d}" for number in range(31)]
    # Ray Data gave its part to another worker: the job itself went on.
    assert len([notice for notice in notices if "Submitted" in notice]) == 1
    assert Exchange(executor.exchange_url).names("runs") == []
    assert world.answers() == world.answers_here()
    again = world.backfill(*days, **options)
    assert (again.landed, again.known) == (0, 31)

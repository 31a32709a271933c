"""Ray's worker and head are killed, and disks fill up, while a training goes on."""

import contextlib
import shutil
import signal
from pathlib import Path

import pytest

from flywheel.errors import OutOfMemoryError, UnavailableError
from flywheel.train.checkpoints import last_complete
from flywheel.train.launch.ray import RayTrainLauncher
from flywheel.train.launch.ray_cluster import RayCluster
from flywheel.train.launch.subprocess import SubprocessTrainLauncher
from tests.fakes.in_process_trainer import InProcessTrainer
from tests.fakes.ray_trainings import Listener, long_spec, same_weights, trainers
from tests.fakes.small_disk import small_disk_at
from tests.fakes.waiting import wait_until

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(900)]

_BLOCK = 2**15


@pytest.fixture(scope="module")
def services(module_services):
    """Start a cluster whose programs may be killed."""
    return module_services("ray")


@pytest.fixture
def launcher(services, tmp_path):
    """Return a launcher on that cluster."""
    found = services.connections
    return RayTrainLauncher(
        RayCluster(found.ray_address, found.ray_token, resource="trainer"),
        (tmp_path / "exchange").as_uri(),
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Train once on this machine, left alone: the spec and its folder."""
    out = tmp_path_factory.mktemp("whole")
    spec = long_spec(out / "dataset")
    InProcessTrainer().run(spec, out, on_progress=lambda _: None)
    return spec, out


def test_a_lost_worker_costs_the_steps_since_the_last_checkpoint(
    services, launcher, whole, tmp_path
):
    """Another job waits for a worker and goes on there, to the same weights."""
    spec, expected = whole

    def lose() -> None:
        # A machine that is gone takes all of it along at once.
        [trainer] = trainers(launcher.exchange_url)
        job = trainer.parent()
        services.signal("ray-worker", signal.SIGKILL)
        job.kill()
        trainer.kill()
        # Started before the supervisor has noticed, it would be taken for the one that runs.
        wait_until(
            lambda: services.states()["ray-worker"].pid is None, "the worker's end", seconds=60
        )
        services.start("ray-worker")

    listener = Listener(at=0.4, act=lose)
    out = tmp_path / "out"
    result = launcher.run(spec, out, on_progress=listener.progress, on_notice=listener.notice)

    assert listener.acted
    assert listener.told("The worker was lost")
    assert result.resumed_from_step > 0
    same_weights(expected, out, result)
    assert trainers(launcher.exchange_url) == []


def test_a_lost_head_costs_nothing(services, launcher, whole, tmp_path):
    """The worker trains on without it, and the head finds the job when it is back."""
    spec, expected = whole

    def lose() -> None:
        services.kill("ray-head")
        services.start("ray-head")

    listener = Listener(at=0.2, act=lose)
    out = tmp_path / "out"
    result = launcher.run(spec, out, on_progress=listener.progress, on_notice=listener.notice)

    assert listener.acted
    assert len(listener.told("Submitted")) == 1
    assert not listener.told("again")
    assert result.resumed_from_step == 0
    same_weights(expected, out, result)


@pytest.fixture
def small_disk(tmp_path):
    """Mount a small file system for a training's folder."""
    with small_disk_at(tmp_path / "out", 24 * 2**20) as folder:
        yield folder


def test_a_disk_that_fills_up_while_a_checkpoint_is_written(whole, small_disk):
    """It is said for what it is; the last whole checkpoint serves once there is room."""
    spec, expected = whole
    ballast = small_disk / "ballast"

    def fill() -> None:
        # The trainer writes at the same time: what is free is asked for before each block.
        with ballast.open("wb") as output, contextlib.suppress(OSError):
            while shutil.disk_usage(small_disk).free > 2 * _BLOCK:
                output.write(bytes(_BLOCK))
                output.flush()

    listener = Listener(at=0.4, act=fill)
    with pytest.raises(UnavailableError, match=r"disk .* is full"):
        SubprocessTrainLauncher().run(spec, small_disk, on_progress=listener.progress)
    left = last_complete(small_disk)
    assert left is not None

    ballast.unlink()
    result = InProcessTrainer().run(spec, small_disk, on_progress=lambda _: None)
    assert result.resumed_from_step == int(left.name.rpartition("-")[2])
    same_weights(expected, small_disk, result)


def test_a_job_that_ray_ends_to_save_the_machine_is_out_of_memory(
    own_services, whole, tmp_path, monkeypatch
):
    """It is not mistaken for a lost worker, on which the same would happen again."""
    # To Ray, this machine's memory is nearly full already.
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.01")
    found = own_services("ray").connections
    cluster = RayCluster(found.ray_address, found.ray_token, resource="trainer")
    launcher = RayTrainLauncher(cluster, (tmp_path / "exchange").as_uri())
    listener = Listener()
    with pytest.raises(OutOfMemoryError, match="running low on memory"):
        launcher.run(
            whole[0], tmp_path / "out", on_progress=listener.progress, on_notice=listener.notice
        )
    assert not listener.told("again")


def test_nothing_is_left_of_the_cluster(services):
    """After the end of the set none of its processes runs, nor its short folder stays."""
    temporary = services.layout.short_folder("ray")
    assert temporary.exists()
    services.close()
    assert _ray_processes(services.folder, temporary) == []
    assert not temporary.exists()


def _ray_processes(folder: Path, temporary: Path) -> list[str]:
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if str(folder) in line or str(temporary) in line:
            found.append(line)
    return found

"""A training on a Ray worker: found again, cancelled, left alone, too large, started again."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import fsspec
import psutil
import pytest

from flywheel.errors import OutOfMemoryError
from flywheel.io.patience import Patience
from flywheel.train.launch.exchange import Exchange
from flywheel.train.launch.ray import RayTrainLauncher
from tests.fakes.in_process_trainer import InProcessTrainer
from tests.fakes.object_store import SqliteObjects
from tests.fakes.ray_trainings import Listener, long_spec, same_weights, trainers

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(600)]

_LAUNCH = """
import os, sys
from pathlib import Path
from flywheel.ports.train_launcher import TrainSpec
from flywheel.train.launch.ray import RayTrainLauncher
from flywheel.train.launch.ray_cluster import RayCluster
spec, out, exchange, url, token, lease = sys.argv[1:]
RayTrainLauncher(RayCluster(url, token, resource="trainer"), exchange, lease_seconds=float(lease)).run(
    TrainSpec.model_validate_json(Path(spec).read_bytes()),
    Path(out),
    on_progress=lambda line: print(line.step, flush=True),
)
"""


@pytest.fixture
def launcher(ray_cluster, tmp_path):
    """Return a launcher with an exchange of its own."""
    return RayTrainLauncher(ray_cluster, (tmp_path / "exchange").as_uri())


@pytest.fixture
def store_launcher(launcher, tmp_path, repository):
    """Return a launcher whose exchange is an object store, which workers know from a plug-in."""
    fsspec.register_implementation("objects", SqliteObjects, clobber=True)
    plugin = tmp_path / "plugin" / "objects-1.dist-info"
    plugin.mkdir(parents=True)
    (plugin / "METADATA").write_text("Name: objects\nVersion: 1\n")
    (plugin / "entry_points.txt").write_text(
        "[fsspec.specs]\nobjects = tests.fakes.object_store:SqliteObjects\n"
    )
    python = tmp_path / "python"
    path = f"{plugin.parent}:{repository}"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={path}:$PYTHONPATH exec python "$@"\n')
    python.chmod(0o755)
    return replace(
        launcher,
        cluster=replace(launcher.cluster, python=str(python)),
        exchange_url=f"objects://{tmp_path / 'store.db'}/bucket",
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Train once on this machine, left alone: the spec, its folder and its result."""
    out = tmp_path_factory.mktemp("whole")
    spec = long_spec(out / "dataset")
    return spec, out, InProcessTrainer().run(spec, out, on_progress=lambda _: None)


def gone(exchange_url: str, *, seconds: float = 120) -> bool:
    """Wait until no trainer of an exchange is left."""
    patience = Patience(seconds)
    while trainers(exchange_url) and not patience.is_over:
        time.sleep(0.1)
    return not trainers(exchange_url)


def killed_launcher(launcher, spec, out) -> None:
    """Run the launcher in a process of its own and kill it with -9 once training goes on."""
    out.mkdir()
    file = out / "asked.json"
    file.write_text(spec.model_dump_json())
    cluster = launcher.cluster
    arguments = [
        file,
        out,
        launcher.exchange_url,
        cluster.url,
        cluster.token,
        launcher.lease_seconds,
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", _LAUNCH, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip().isdigit()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_a_trainer_killed_at_60_percent_goes_on_from_its_last_checkpoint(
    store_launcher, whole, tmp_path
):
    """Another job takes over where the last complete checkpoint was, to the same weights."""
    spec, expected, _ = whole
    launcher = store_launcher

    def kill() -> None:
        [trainer] = trainers(launcher.exchange_url)
        trainer.kill()

    listener = Listener(at=0.6, act=kill)
    out = tmp_path / "out"
    result = launcher.run(spec, out, on_progress=listener.progress, on_notice=listener.notice)

    assert listener.acted
    assert result.resumed_from_step > 0
    assert listener.told(f"started again from step {result.resumed_from_step} (2 of 3)")
    same_weights(expected, out, result)
    assert Exchange(launcher.exchange_url).names("runs") == []


def test_a_running_job_is_found_again(launcher, whole, tmp_path):
    """A launcher that was killed has left its job running; the next one waits for that job."""
    spec, expected, _ = whole
    out = tmp_path / "out"
    killed_launcher(launcher, spec, out)
    [before] = trainers(launcher.exchange_url)

    listener = Listener()
    result = launcher.run(spec, out, on_progress=listener.progress, on_notice=listener.notice)

    assert listener.told("Goes on with the job")
    assert not listener.told("Submitted")
    assert result.resumed_from_step == 0
    assert not before.is_running()
    same_weights(expected, out, result)


def test_a_job_that_nobody_asks_for_ends_by_itself(launcher, tmp_path):
    """Its lease runs out; it saves a checkpoint, from which the next launcher goes on."""
    expected = tmp_path / "whole"
    # Several times as long as the lease, also on a fast machine.
    spec = long_spec(expected / "dataset", epochs=60)
    InProcessTrainer().run(spec, expected, on_progress=lambda _: None)
    short = replace(launcher, lease_seconds=1.5)
    out = tmp_path / "out"
    killed_launcher(short, spec, out)
    assert gone(launcher.exchange_url)

    listener = Listener()
    result = launcher.run(spec, out, on_progress=listener.progress, on_notice=listener.notice)

    assert listener.told("Submitted")
    assert not listener.told("Goes on") or listener.told("No process has asked for it for 1.5 s.")
    assert result.resumed_from_step > 0
    same_weights(expected, out, result)


def test_a_cancelled_training_is_stopped(launcher, whole, tmp_path):
    """What Dagster raises on a cancelled run stops the job before it goes on up."""
    spec, expected, _ = whole

    def cancel() -> None:
        raise KeyboardInterrupt

    listener = Listener(at=0.2, act=cancel)
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        launcher.run(spec, out, on_progress=listener.progress, on_notice=listener.notice)
    assert trainers(launcher.exchange_url) == []

    again = Listener()
    result = launcher.run(spec, out, on_progress=again.progress, on_notice=again.notice)
    assert result.resumed_from_step > 0
    assert again.steps[0] > result.resumed_from_step - 15
    same_weights(expected, out, result)


def test_a_training_over_its_memory_is_out_of_memory(launcher, whole, tmp_path):
    """The limit ends the trainer, not the worker, and is not mistaken for a lost one."""
    spec, _, _ = whole
    small = replace(launcher, memory_bytes=100 * 2**20)
    listener = Listener()
    with pytest.raises(OutOfMemoryError, match=r"more than 0\.0977 GiB"):
        small.run(spec, tmp_path / "out", on_progress=listener.progress, on_notice=listener.notice)
    assert not listener.told("again")
    assert psutil.pid_exists(os.getpid())
    # The rows do not stay in the exchange.
    assert Exchange(launcher.exchange_url).names("runs") == []

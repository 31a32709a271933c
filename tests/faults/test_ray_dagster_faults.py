"""Two cycles of two workloads train on Ray through one ``gpu`` slot, and a run worker is killed."""

import itertools
import json
from pathlib import Path

import dagster as dg
import psutil
import pytest
import yaml

from flywheel.ingest.seed import import_seed
from flywheel.settings import load_settings
from tests.fakes.dagster_instance import instance_like_ours
from tests.fakes.dagster_programs import DagsterPrograms
from tests.fakes.micro_base import labeled
from tests.fakes.ray_trainings import trainers
from tests.fakes.turn_world import TurnWorld
from tests.fakes.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.daemon, pytest.mark.services, pytest.mark.timeout(1500)]

WORKLOADS = ("parts", "parts_two")
ADAPTERS = [dg.AssetKey([name, "adapter"]) for name in WORKLOADS]


class RayWorld(DagsterPrograms):
    """A deployment with two workloads whose trainer is Ray, and its daemon."""

    def __init__(self, home, cluster) -> None:
        super().__init__(
            load_settings(
                home=home,
                workloads=home / "workloads",
                cache=home,
                sensor_seconds=5,
                train_launcher="ray",
                ray_address=cluster.url,
                ray_token=cluster.token,
            )
        )
        with instance_like_ours() as instance:
            long = {"epochs": 25, "learning_rate": 0.01, "batch_size": 8, "checkpoint_steps": 20}
            self.world = TurnWorld(
                home, instance, workload={"training": long}, settings=self.settings
            )
        self.platform = self.world.platform
        file = home / "workloads" / "parts.yaml"
        second = yaml.safe_load(file.read_text()) | {"id": "parts_two"}
        file.with_name("parts_two.yaml").write_text(yaml.safe_dump(second))
        record = home / "bases" / "parts.json"
        record.with_name("parts_two.json").write_text(record.read_text())
        for name in WORKLOADS:
            self._open(name)

    def _open(self, name: str) -> None:
        workload, now = self.platform.workload(name), self.world.clock.now()
        import_seed(self.platform.lake, workload, labeled(150), source_name="seed.csv", now=now)
        self.platform.state.cycles.open(
            workload,
            trigger="manual",
            trigger_key="manual:1",
            opened_by="ann",
            reason="asked for",
            watermark=now,
            snapshot=workload.model_dump(mode="json", by_alias=True),
        )

    def worker(self, run_id: str) -> psutil.Process:
        """Return the process that executes a run."""
        with self.instance() as instance:
            entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        told = [e.get_dagster_event().engine_event_data.metadata.get("pid") for e in entries]
        return psutil.Process(next(int(str(pid.value)) for pid in told if pid is not None))

    def slots(self) -> list[tuple[float, float]]:
        """Return from when to when each step of training held the slot, in order."""
        found = []
        ends = {"STEP_SUCCESS", "STEP_FAILURE", "STEP_UP_FOR_RETRY", "PIPELINE_FAILURE"}
        for run in itertools.chain(*(self.runs(f"{name}_cycle_job") for name in WORKLOADS)):
            with self.instance() as instance:
                records = instance.all_logs(run.run_id)
            begun = None
            for record in records:
                kind = record.dagster_event.event_type_value if record.dagster_event else ""
                mine = (record.step_key or "").endswith("__adapter")
                if mine and kind in {"STEP_START", "STEP_RESTARTED"}:
                    begun = record.timestamp
                elif begun and (mine or kind == "PIPELINE_FAILURE") and kind in ends:
                    found.append((begun, record.timestamp))
                    begun = None
        return sorted(found)

    def adapters(self) -> list[dg.EventLogEntry]:
        """Return the newest materialization of each workload's adapter, once all are there."""
        with self.instance() as instance:
            events = [instance.get_latest_materialization_event(key) for key in ADAPTERS]
        return [event for event in events if event] if all(events) else []


@pytest.fixture(scope="module")
def world(tmp_path_factory, ray_cluster):
    """Let the daemon train both at once, and kill the worker of the run that trains first."""
    world = RayWorld(tmp_path_factory.mktemp("deployment"), ray_cluster)
    try:
        daemon = world.start_program("dagster-daemon")
        exchange = world.settings.train_exchange_url
        [trainer] = wait_until(lambda: trainers(exchange), "a trainer", seconds=400, alive=daemon)
        spec = json.loads(Path(trainer.cmdline()[3]).read_text())
        [run] = wait_until(
            lambda: world.runs(f"{spec['workload']['id']}_cycle_job", dg.DagsterRunStatus.STARTED),
            "its run",
        )
        world.worker(run.run_id).kill()
        world.killed = run
        wait_until(world.adapters, "both adapters", seconds=900, alive=daemon)
        yield world
    finally:
        world.close()
        world.platform.close()


def test_the_killed_run_was_started_again_and_found_its_job(world, ray_cluster):
    """One job and one result for each workload, whoever asked for them."""
    from ray.job_submission import JobSubmissionClient

    client = JobSubmissionClient(
        ray_cluster.url, headers={"Authorization": f"Bearer {ray_cluster.token}"}
    )
    releases = {name: list(world.platform.state.releases.of(name)) for name in WORKLOADS}
    jobs = {
        name: [j for j in client.list_jobs() if f"flywheel-{name}-" in (j.submission_id or "")]
        for name in WORKLOADS
    }
    exchange = world.settings.train_exchange_url
    ours = {name: [j for j in found if exchange in j.entrypoint] for name, found in jobs.items()}
    assert {name: len(found) for name, found in ours.items()} == dict.fromkeys(WORKLOADS, 1)
    assert {name: len(found) for name, found in releases.items()} == dict.fromkeys(WORKLOADS, 1)
    assert world.run(world.killed.run_id).status == dg.DagsterRunStatus.FAILURE
    steps = [e.asset_materialization.metadata["resumed from step"].value for e in world.adapters()]
    assert steps == [0, 0]


def test_one_training_held_the_slot_at_a_time(world):
    """The killed run gave it back, and no two steps of training overlap."""
    held = world.slots()
    assert len(held) >= 3  # the killed one, its repetition, and the other workload's
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(held))

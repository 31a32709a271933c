"""A dataset that was not published when a person was erased is published without the person's rows."""

import os
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pyarrow as pa
import pytest

from flywheel.artifacts.snapshot import open_snapshot, read_rows, verify_snapshot
from flywheel.clock import ManualClock
from flywheel.dataset import build
from flywheel.errors import ConcurrencyError
from flywheel.io.retry import RetryPolicy
from flywheel.lake.erasure import erased_row_ids
from flywheel.lake.home_artifacts import HomeArtifacts
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.settings import Settings
from flywheel.state import State
from flywheel.state.kept_lease import keep_lease
from flywheel.usecases.cycle import assemble_dataset
from flywheel.usecases.erasing import publishing
from flywheel.usecases.erasing.person import find_person
from flywheel.usecases.erasing.publishing import settle_artifacts
from flywheel.usecases.erasing.stores import erase_from_snapshots
from flywheel.usecases.landing import maintain_lake
from flywheel.wiring import Platform
from tests.fakes.memory_objects import MemoryObjects
from tests.fakes.release_world import make_workload, rows_for, write_snapshot

NOW = datetime(2026, 4, 1, tzinfo=UTC)
WORKLOAD = make_workload("defects")


@pytest.fixture
def objects(tmp_path):
    """Return an empty bucket."""
    return MemoryObjects(tmp_path / "bucket")


@pytest.fixture
def machines(tmp_path, objects):
    """Return two machines on one state and one lake."""
    clock = ManualClock(NOW)
    lake = Lake(tmp_path / "lake")
    state = State.open(f"sqlite:///{tmp_path / 'state.db'}", clock, home=tmp_path)

    def machine(name):
        artifacts = HomeArtifacts(tmp_path / name, lambda: objects.artifacts)
        return SimpleNamespace(
            home=tmp_path / name, lake=lake, state=state, clock=clock, artifacts=artifacts
        )

    yield [machine(name) for name in "ab"]
    lake.close()
    state.close()


def _dataset(machine):
    splits = {"train": rows_for(WORKLOAD, "train", 4), "golden": rows_for(WORKLOAD, "golden", 2)}
    folder = machine.home / "datasets" / "defects"
    return write_snapshot(folder, WORKLOAD, "2026Q1-1", splits)


def _append(lake, table, row):
    schema = TABLES[table].schema
    values = dict.fromkeys(schema.names) | row
    lake.append(table, pa.Table.from_pylist([values], schema=schema))


def _note(lake, workload_id=None):
    # What an erasure writes before it looks into any store.
    _append(
        lake,
        "erasures",
        {
            "workload_id": workload_id,
            "subject_id": "anna",
            "requested_by": "mara",
            "reason": "she asked for it",
            "requested_at": NOW,
        },
    )


def _include(lake, snapshot, inference_id):
    row = {"workload_id": "defects", "snapshot": snapshot, "cycle": "2026Q1-1", "split": "train"}
    _append(lake, "dataset_rows", row | {"inference_id": inference_id, "subject_id": "anna"})


def _erase(machine):
    person = find_person(machine.lake, ("anna",), None, None)
    return erase_from_snapshots(machine, person, change=True)


@pytest.mark.parametrize("workload_id", [None, "defects"])
def test_maintenance_publishes_no_erased_row(machines, objects, workload_id):
    """The machine that built the dataset was killed before it published it, and then somebody erased."""
    first, second = machines
    dataset = _dataset(first)
    _include(first.lake, dataset.name, "train-1")
    _note(second.lake, workload_id)
    assert _erase(second).count == 0  # it does not know the dataset

    assert maintain_lake(first).published == [first.artifacts.name_of(dataset)]
    assert not objects.holds(b"train-1")
    assert objects.holds(b"train-2")
    assert verify_snapshot(dataset).erased == 1
    assert settle_artifacts(first) == []


def test_an_erasure_in_another_workload_takes_nothing_out(machines, objects):
    """The person is erased there alone."""
    first, _ = machines
    _include(first.lake, _dataset(first).name, "train-1")
    _note(first.lake, "other")
    maintain_lake(first)
    assert objects.holds(b"train-1")


def test_a_row_that_has_no_call_is_known_by_its_correction(machines):
    """Imported rows have none."""
    first, _ = machines
    for subject_id, correction_id in (("anna", "c1"), ("ben", "c2")):
        row = {"workload_id": "defects", "subject_id": subject_id, "correction_id": correction_id}
        _append(first.lake, "dataset_rows", row | {"snapshot": "s", "cycle": "2026Q1-1"})
    assert erased_row_ids(first.lake, "defects") == set()
    _note(first.lake)
    assert erased_row_ids(first.lake, "defects") == {"c1"}


def test_whoever_publishes_and_whoever_erases_wait_for_each_other(machines, monkeypatch):
    """Under one lease; whoever does not get it says so, and changes nothing."""
    monkeypatch.setattr(publishing, "_WAIT", RetryPolicy(attempts=2))
    first, second = machines
    _dataset(first)
    with keep_lease(first.state.leases, "erasing-datasets"):
        with pytest.raises(ConcurrencyError, match="2 attempts"):
            settle_artifacts(first)
        with pytest.raises(ConcurrencyError, match="2 attempts"):
            _erase(second)
    assert first.artifacts.names() == []
    released = []
    with keep_lease(first.state.leases, "erasing-datasets") as lease:
        monkeypatch.setattr(
            publishing,
            "retried",
            lambda action, *_: (first.state.leases.release(lease), released.append(action())),
        )
        assert len(settle_artifacts(first)) == 1
    assert len(released) == 1


@pytest.fixture
def deployment(tmp_path, objects, monkeypatch):
    """Return a deployment whose artifacts are published."""
    settings = Settings(home=tmp_path / "home", workloads=tmp_path / "workloads", hash_key="k")
    artifacts = HomeArtifacts(tmp_path / "home", lambda: objects.artifacts)
    monkeypatch.setattr(Platform, "artifacts", artifacts)
    platform = Platform(settings, ManualClock(NOW))
    yield platform
    platform.close()


def test_an_erasure_while_a_dataset_is_built_reaches_it(deployment, objects, monkeypatch):
    """What was read before it is taken out before it is published, under the erasure's lease."""

    def build_and_erase(lake, opened, *, home, **_):
        folder = _dataset(SimpleNamespace(home=home))
        _include(lake, folder.name, "train-1")
        _note(lake)
        return open_snapshot(folder)

    published = []

    def publish(path):
        with pytest.raises(ConcurrencyError):
            deployment.state.leases.acquire("erasing-datasets", "another machine")
        published.append(path)
        HomeArtifacts.publish(deployment.artifacts, path)

    monkeypatch.setattr(build, "build_dataset", build_and_erase)
    monkeypatch.setattr(deployment.artifacts, "publish", publish)
    cycle = deployment.state.cycles.open(
        WORKLOAD,
        trigger="manual",
        opened_by="ann",
        reason="asked for",
        watermark=NOW,
        snapshot=WORKLOAD.model_dump(mode="json", by_alias=True),
    )
    snapshot = assemble_dataset(deployment, cycle.ref)
    assert published == [snapshot.folder]
    assert snapshot.erased == 1
    assert len(read_rows(snapshot.folder, "train")) == 3
    assert not objects.holds(b"train-1")
    assert deployment.state.attempts.get(cycle.ref, 1).dataset.counts["train"] == 3


@pytest.mark.parametrize("folder", ["datasets/defects", "runs/defects/2026Q1-1/1", "bases/models"])
def test_maintenance_removes_fetches_that_were_cut_off(machines, folder):
    """Not one that another process writes into right now."""
    first, _ = machines
    old, new = (first.home / folder / f".x-{name}.fetched" for name in ("old", "new"))
    for part in (old, new):
        (part / "x").mkdir(parents=True)
        (part / "x" / "train.jsonl").write_text("what anna said")
    past = time.time() - 2 * 3600
    for path in (old / "x" / "train.jsonl", old / "x", old, new):
        os.utime(path, (past, past))
    settle_artifacts(first)
    assert not old.exists()
    assert (new / "x" / "train.jsonl").exists()

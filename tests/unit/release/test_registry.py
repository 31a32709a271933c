"""MLflow as run log: what a training leaves there, once."""

import sqlite3
from contextlib import closing

import pytest

from flywheel.errors import RefusedError, StorageError
from flywheel.release.registry import MlflowRegistry


def test_training_is_logged_once_with_lineage(world):
    """Parameters, curve and lineage are in the run; logging again finds it."""
    cycle = world.open_cycle()
    release = world.train(cycle, "r1")
    client = world.registry._client
    experiment = client.get_experiment_by_name(world.workload.id)
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.run_id for run in runs] == [release.facts["run_id"]]
    run = runs[0]
    assert run.info.status == "FINISHED"
    assert run.data.params["learning_rate"] == "0.001"
    assert run.data.metrics["loss"] == 0.1
    assert run.data.tags["flywheel.dataset_hash"] == release.dataset_hash
    assert run.data.tags["flywheel.manifest_digest"] == release.manifest_digest
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["manifest.json"]


def test_nothing_is_pickled_and_nothing_is_sent(registry):
    """The switches stand once MLflow is loaded."""
    import os

    registry.aliases("nobody")
    assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_new_database_has_a_write_ahead_log(registry):
    """The interface reads while a training is written."""
    path = registry._uri.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_unknown_model_has_no_aliases(registry):
    """A workload that was never promoted is no error."""
    assert registry.aliases("nobody") == {}
    assert registry.version_of("nobody", "r1") is None


def test_refusal_of_mlflow_is_translated(world):
    """No vendor error gets out."""
    with pytest.raises(StorageError, match="MLflow refused"):
        world.registry.tags_of("nobody", "1")


def test_wrong_uri_is_a_storage_error(tmp_path):
    """A registry that cannot be opened says so."""
    with pytest.raises(StorageError):
        MlflowRegistry("nonsense://x", tmp_path).aliases("w")


def test_candidate_is_recorded_once(world):
    """A repeated recording changes nothing; the audit has one row."""
    from flywheel.release.candidate import task_digest

    cycle = world.open_cycle()
    release = world.train(cycle, "r1")
    assert release.status == "candidate"
    assert release.facts["task_digest"] == task_digest(world.workload)
    facts = world.state.attempt(world.workload.id, cycle.name).facts
    assert facts["release"] == "r1"
    with pytest.raises(FileExistsError):
        world.train(cycle, "r1")
    events = [row.event for row in world.state.audit_rows()]
    assert events == ["cycle.opened", "training.done"]


def test_name_of_another_adapter_is_refused(world):
    """Another training cannot take a release's name."""
    cycle = world.open_cycle()
    release = world.train(cycle, "r1")
    with pytest.raises(RefusedError, match="another adapter"):
        world.state.record_release(
            "r1",
            workload_id=world.workload.id,
            cycle=cycle.name,
            attempt=1,
            manifest_digest="other",
            adapter=release.adapter,
            dataset_hash=release.dataset_hash,
        )

"""What the MLflow registry must do, on an SQLite file and over HTTP on a real server."""

import os
import sqlite3
import threading
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flywheel.errors import (
    ConfigurationError,
    IntegrityError,
    RefusedError,
    StorageError,
    UnavailableError,
)
from flywheel.ports.train_launcher import TrainProgress
from flywheel.release import mlflow_calls
from flywheel.release.aliases import alias_differences, sync_aliases
from flywheel.release.registry import MlflowRegistry
from tests.fakes.registry import MemoryRegistry
from tests.fakes.release_world import ReleaseWorld


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("http", marks=pytest.mark.services("mlflow"))]
)
def registry(request, tmp_path_factory) -> MlflowRegistry:
    """Return a registry; workloads keep the tests apart."""
    folder = tmp_path_factory.mktemp("mlflow")
    if request.param == "http":
        return MlflowRegistry(request.getfixturevalue("mlflow_url"), folder / "artifacts")
    return MlflowRegistry(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")


@pytest.fixture(params=["mlflow", "memory"])
def any_world(request, tmp_path, registry) -> Iterator[ReleaseWorld]:
    """Return a fresh workload on the registry, and on the one in memory that other tests use."""
    used = registry if request.param == "mlflow" else MemoryRegistry(tmp_path)
    made = ReleaseWorld(tmp_path, used)
    yield made
    made.close()


@pytest.fixture
def world(tmp_path, registry) -> Iterator[ReleaseWorld]:
    """Return a fresh workload with its own state and lake."""
    made = ReleaseWorld(tmp_path, registry)
    yield made
    made.close()


def runs_of(world):
    client = world.registry.client
    experiment = client.get_experiment_by_name(world.workload.id)
    return client.search_runs([experiment.experiment_id])


def versions_of(world):
    return world.registry.client.search_model_versions(f"name='{world.workload.id}'")


def registered(world, release: str = "r1") -> str:
    """Train and register a release; return its model version."""
    known = world.train(world.open_cycle(), release)
    return register(world, known)


def register(world, release, adapter: Path | None = None) -> str:
    return world.registry.register(
        world.workload.id,
        release=release.release,
        run_id=release.lineage.run_id,
        adapter=adapter or Path(release.adapter),
        texts={"model_card.md": "größer\n"},
        tags={"flywheel.version": "1.0.0"},
        description="a card",
    )


def test_training_is_logged_once_with_lineage(world):
    """Parameters, curve and lineage are in the run; logging again finds it."""
    cycle = world.open_cycle()
    release = world.train(cycle, "r1")
    client = world.registry.client
    assert [run.info.run_id for run in runs_of(world)] == [release.lineage.run_id]
    run = runs_of(world)[0]
    assert run.info.status == "FINISHED"
    assert run.data.params["learning_rate"] == "0.001"
    assert run.data.metrics["loss"] == 0.1
    assert run.data.tags["flywheel.dataset_hash"] == release.dataset_hash
    assert run.data.tags["flywheel.manifest_digest"] == release.manifest_digest
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["manifest.json"]


def test_files_are_kept_where_every_client_finds_them(world):
    """A server keeps the files itself; without one they are in our folder."""
    world.train(world.open_cycle(), "r1")
    place = runs_of(world)[0].info.artifact_uri
    assert place.startswith("mlflow-artifacts:" if world.registry.place.is_remote else "file:")


def test_adapter_is_registered_once_and_comes_back_whole(world, tmp_path):
    """The version carries its tags, and its files are the trained ones, byte for byte."""
    version = registered(world)
    release = world.state.releases.get("r1")
    assert register(world, release) == version == world.registry.version_of(world.workload.id, "r1")
    assert len(versions_of(world)) == 1
    assert world.registry.tags_of(world.workload.id, version)["flywheel.version"] == "1.0.0"
    folder = world.registry.client.download_artifacts(
        release.lineage.run_id, "", str(tmp_path_made(tmp_path))
    )
    for path in Path(release.adapter).iterdir():
        assert (Path(folder) / "adapter" / path.name).read_bytes() == path.read_bytes()
    assert (Path(folder) / "model_card.md").read_text(encoding="utf-8") == "größer\n"


def tmp_path_made(tmp_path: Path) -> Path:
    (tmp_path / "download").mkdir()
    return tmp_path / "download"


def test_what_is_written_in_words_can_be_read(world):
    """Cards, descriptions and tags of a run, without the adapter's own files."""
    release = world.train(world.open_cycle(), "r1")
    register(world, release)
    texts = world.registry.written_texts(world.workload.id, release.lineage.run_id)
    version = f"version {world.registry.version_of(world.workload.id, 'r1')}"
    assert set(texts) == {"tags and parameters", version, "manifest.json", "model_card.md"}
    assert texts[version].startswith("a card")
    assert texts["model_card.md"] == "größer\n"


def test_upload_that_was_changed_on_the_way_is_not_registered(world, monkeypatch):
    """What MLflow gives back is compared with what was trained, before there is a version."""
    release = world.train(world.open_cycle(), "r1")
    client = world.registry.client
    whole = client.log_artifacts

    def damaged(run_id: str, folder: str, target: str) -> None:
        other = world.root / "damaged"
        other.mkdir()
        for path in Path(folder).iterdir():
            (other / path.name).write_bytes(path.read_bytes()[:-1])
        whole(run_id, str(other), target)

    monkeypatch.setattr(client, "log_artifacts", damaged)
    with pytest.raises(IntegrityError, match="is not what was sent"):
        register(world, release)
    assert world.registry.version_of(world.workload.id, "r1") is None
    monkeypatch.undo()
    register(world, release)
    assert len(versions_of(world)) == 1


def test_version_made_twice_counts_once(world):
    """A request that was carried out after it timed out leaves a double, which goes."""
    release = world.train(world.open_cycle(), "r1")
    client = world.registry.client
    whole = client.create_model_version

    def twice(*arguments, **named):
        whole(*arguments, **named)
        return whole(*arguments, **named)

    client.create_model_version = twice
    try:
        version = register(world, release)
    finally:
        del client.create_model_version
    assert [str(found.version) for found in versions_of(world)] == [version]
    assert world.registry.version_of(world.workload.id, "r1") == version


def test_run_made_twice_counts_once(world):
    """A double of a run is put away, and the curve is in the one that stays."""
    client = world.registry.client
    whole = client.create_run

    def lost(*arguments, **named):
        whole(*arguments, **named)
        raise UnavailableError("the answer was lost")

    client.create_run = lost
    cycle = world.open_cycle()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mlflow_calls, "_PATIENCE_SECONDS", 0)
            with pytest.raises(UnavailableError):
                world.train(cycle, "r1")
    finally:
        del client.create_run
    whole(runs_of(world)[0].info.experiment_id, tags={"flywheel.release": "r1"})
    assert len(runs_of(world)) == 2
    release = world.train(cycle, "r1", again=True)
    assert [run.info.run_id for run in runs_of(world)] == [release.lineage.run_id]
    assert runs_of(world)[0].data.metrics["loss"] == 0.1


def test_long_curve_is_logged_whole(world):
    """More values than one call takes are sent in several."""
    points = [
        TrainProgress(step=n, steps=999, epoch=1.0, loss=1 / n, tokens_per_second=1, seconds=n)
        for n in range(1, 1000)
    ]
    release = world.train(world.open_cycle(), "r1", progress=points)
    history = world.registry.client.get_metric_history(release.lineage.run_id, "loss")
    assert [point.step for point in history] == list(range(1, 1000))


def test_aliases_are_set_moved_and_taken_away(any_world):
    """An alias names one version, whoever asks."""
    workload_id, registry = any_world.workload.id, any_world.registry
    first = registered(any_world)
    registry.set_alias(workload_id, "champion", first)
    registry.set_alias(workload_id, "champion", first)
    assert registry.aliases(workload_id) == {"champion": first}
    registry.set_alias(workload_id, "champion", None)
    assert registry.aliases(workload_id) == {}


def test_alias_that_a_person_moved_is_found_and_put_back(world):
    """The route table is the truth, and the next sync says so."""
    world.promoted("r1")
    cycle = world.approved("r2")
    done = world.promote(cycle)
    workload_id = world.workload.id
    assert alias_differences(world.state, world.registry, workload_id) == {}
    first = world.registry.version_of(workload_id, "r1")
    world.registry.client.set_registered_model_alias(workload_id, "champion", first)
    assert alias_differences(world.state, world.registry, workload_id) == {
        "champion": (done.model_version, first)
    }
    sync_aliases(world.state, world.registry, workload_id)
    assert alias_differences(world.state, world.registry, workload_id) == {}


def test_one_who_was_frozen_while_setting_aliases_mends_them(world):
    """Another promotion went through between the look and the write of a late one."""
    world.promoted("r1")
    cycle = world.approved("r2")
    whole = world.registry.set_alias

    def late(*arguments) -> None:
        del world.registry.set_alias
        world.promote(cycle)
        whole(*arguments)  # what was true before

    world.registry.set_alias = late
    sync_aliases(world.state, world.registry, world.workload.id)
    assert world.state.routes.champion(world.workload.id) == "r2"
    assert alias_differences(world.state, world.registry, world.workload.id) == {}


def test_whole_promotion_and_way_back(any_world):
    """The registry follows a promotion, a second one and a rollback."""
    from flywheel.release.rollback import rollback

    world = any_world
    world.promoted("r1")
    world.promoted("r2")
    one, two = (world.registry.version_of(world.workload.id, name) for name in ("r1", "r2"))
    assert world.registry.aliases(world.workload.id) == {"champion": two, "previous": one}
    rollback(world.state, world.server, world.registry, world.workload.id, actor="a", reason="b")
    assert world.registry.aliases(world.workload.id) == {"champion": one}


def test_unknown_model_has_no_aliases(registry):
    """A workload that was never promoted is no error."""
    assert registry.aliases("nobody") == {}
    assert registry.version_of("nobody", "r1") is None


def test_refusal_of_mlflow_is_translated(world):
    """No vendor error gets out."""
    with pytest.raises(StorageError, match="MLflow refused"):
        world.registry.tags_of("nobody", "1")


def test_candidate_is_recorded_once(world):
    """A repeated recording changes nothing; the audit has one row."""
    from flywheel.release.candidate import task_digest

    cycle = world.open_cycle()
    release = world.train(cycle, "r1")
    assert release.status == "candidate"
    assert release.lineage.task_digest == task_digest(world.workload)
    candidate = world.state.cycles.attempt(cycle.ref).candidate
    assert (candidate.release, candidate.run_id) == ("r1", release.lineage.run_id)
    assert world.train(cycle, "r1", again=True) == release
    assert len(runs_of(world)) == 1
    events = [row.event for row in world.state.audit.of()]
    assert events == ["cycle.opened", "training.done"]


def test_name_of_another_adapter_is_refused(world):
    """Another training cannot take a release's name."""
    cycle = world.open_cycle()
    release = world.train(cycle, "r1")
    with pytest.raises(RefusedError, match="another adapter"):
        world.state.releases.record(
            "r1",
            cycle=cycle.ref,
            attempt=1,
            manifest_digest="other",
            adapter=release.adapter,
            dataset_hash=release.dataset_hash,
        )


def test_nothing_is_pickled_and_nothing_is_sent(registry):
    """The switches stand once MLflow is loaded."""
    registry.aliases("nobody")
    assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_new_database_has_a_write_ahead_log(tmp_path):
    """The interface reads while a training is written."""
    MlflowRegistry(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path).aliases("nobody")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_wrong_uri_is_a_storage_error(tmp_path):
    """A registry that cannot be opened says so."""
    with pytest.raises(StorageError):
        MlflowRegistry("nonsense://x", tmp_path).aliases("w")


def test_login_in_the_address_is_refused(tmp_path):
    """A password belongs where nobody prints it."""
    address = "https://ann:{}@mlflow.example".format("-".join(["hush"] * 2))
    with pytest.raises(ConfigurationError, match=r"mlflow\.example") as caught:
        MlflowRegistry(address, tmp_path)
    assert "MLFLOW_TRACKING_PASSWORD" in caught.value.next_step
    assert "hush-hush" not in "".join(traceback.format_exception(caught.value))


@contextmanager
def answering(status: int, seen: list[str | None]) -> Iterator[str]:
    """Serve one status to every request, as a gateway in front of MLflow does."""

    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - (as above)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, ConfigurationError),
        (403, ConfigurationError),
        (429, UnavailableError),
        (500, UnavailableError),
        (503, UnavailableError),
    ],
)
def test_login_comes_from_the_environment_and_is_not_told(tmp_path, monkeypatch, status, error):
    """A gateway's answer is translated by whether it may pass; the password is sent, not shown."""
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hush-hush")
    monkeypatch.setattr(mlflow_calls, "_PATIENCE_SECONDS", 0)
    seen: list[str | None] = []
    with answering(status, seen) as address, pytest.raises(error) as caught:
        MlflowRegistry(address, tmp_path).aliases("w")
    assert seen[0] == "Basic YW5uOmh1c2gtaHVzaA=="
    assert address in caught.value.message
    assert "hush" not in "".join(traceback.format_exception(caught.value))

"""Two homes on one state and one lake in a real S3 server: what one makes the other uses."""

import hashlib
import os
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import pytest
from pyarrow.fs import copy_files

from flywheel.clock import ManualClock
from flywheel.errors import IntegrityError, UnavailableError
from flywheel.ingest.seed import import_seed
from flywheel.lake.object_path import ObjectPath
from flywheel.settings import Settings
from flywheel.train.launch.exchange import Exchange
from flywheel.usecases.asking import open_answerer
from flywheel.usecases.cycle import assemble_dataset, judge_candidate, open_cycle, train_candidate
from flywheel.usecases.verdict import read_gate
from flywheel.usecases.verification import finding, is_bad, verify_deployment
from flywheel.usecases.verify_artifacts import published_checks
from flywheel.wiring import Platform
from flywheel.workload.model import parse_workload
from tests.fakes.in_process_trainer import InProcessTrainer
from tests.fakes.micro_base import classification, labeled, micro_base
from tests.fakes.waiting import wait_until
from tests.fakes.workload_file import put_workload

pytestmark = [pytest.mark.services("object-store"), pytest.mark.timeout(600)]

NOW = datetime(2026, 4, 1, tzinfo=UTC)
WORKLOAD = parse_workload(
    classification().model_dump(mode="json", by_alias=True)
    | {"minimum_examples": 20, "golden_size": 30, "training": {"epochs": 1, "batch_size": 8}},
    source="test",
)


@pytest.fixture
def opened(object_lake, tmp_path):
    """Return what opens a home of the deployment."""
    put_workload(tmp_path / "workloads", WORKLOAD)
    platforms = []

    def open_home(name: str, lake: str = object_lake) -> Platform:
        settings = Settings(
            home=tmp_path / name,
            workloads=tmp_path / "workloads",
            cache=tmp_path / name / "cache",
            lake=lake,
            state_url=f"sqlite:///{tmp_path / 'state.db'}",
            mlflow_url=f"sqlite:///{tmp_path / 'mlflow.db'}",
        )
        platforms.append(Platform(settings, ManualClock(NOW), launcher=InProcessTrainer()))
        return platforms[-1]

    yield open_home
    for platform in platforms:
        platform.close()


@contextmanager
def _away(object_store):
    object_store.kill("object-store")
    try:
        yield
    finally:
        object_store.start("object-store")


def _is_readable(platform: Platform, name: str) -> bool:
    # SeaweedFS answers a moment before it finds what it held when it was killed.
    try:
        return platform.artifacts.store.listing(name) is not None
    except UnavailableError:
        return False


def _begin(platform: Platform):
    platform.bases.remember(WORKLOAD, micro_base())
    import_seed(platform.lake, WORKLOAD, labeled(90), source_name="seed.csv", now=NOW)
    return open_cycle(platform, platform.workload("parts"), trigger="manual", reason="a test").ref


def _train(platform: Platform, cycle):
    return train_candidate(platform, cycle, on_progress=lambda _: None)


def test_each_step_of_a_cycle_runs_on_another_machine(opened, object_store):
    """The dataset, the adapter and the report that were made elsewhere are trained on, judged, asked."""
    first, second, third, fourth = map(opened, "abcd")
    cycle = _begin(first)

    with _away(object_store), pytest.raises(UnavailableError, match="does not answer"):
        assemble_dataset(first, cycle)
    snapshot = assemble_dataset(first, cycle)

    result = _train(second, cycle)
    assert result.dataset_hash == snapshot.hash
    assert _train(third, cycle) == result  # found, not trained again

    manifest = _object(first, result.manifest_digest)
    written = manifest.read_bytes()
    _write(manifest, written.replace(b"parts", b"parks"))
    assert "manifest.json has other content" in _published(first)
    with pytest.raises(IntegrityError, match="sha256"):
        judge_candidate(fourth, cycle)
    assert first.state.attempts.get(cycle, 1).gate is None
    _write(manifest, written)

    report = judge_candidate(third, cycle)
    assert report.subject.manifest_digest == result.manifest_digest
    assert read_gate(fourth, cycle).report == report
    release = first.state.releases.get(result.release)
    assert [one.release for one in first.state.releases.of("parts")] == [release.release]
    _, answer = open_answerer(fourth, WORKLOAD, release.release)
    assert answer(["On machine 3 the seal leaks oil again"])[0].error is None

    assert _published(fourth).endswith("as they were published")
    # The home that wrote the audit remembers its heads; another one cannot.
    bad = {name for name, text in verify_deployment(fourth).findings.items() if is_bad(text)}
    assert bad <= {"audit"}

    # A root that was copied to another place holds everything, and no object names the former one.
    root = first.lake.location.root
    assert isinstance(root, ObjectPath)
    copy_files(root.key, f"{root.key}-moved", root.filesystem, root.filesystem)
    moved = opened("moved", f"{root}-moved")
    assert read_gate(moved, cycle).report == report
    assert {text.partition(" ")[0] for text in map(finding, published_checks(moved).values())} == {
        text.partition(" ")[0] for text in map(finding, published_checks(first).values())
    }


def _published(platform: Platform) -> str:
    return finding(published_checks(platform)["published adapters and gate reports"])


def _object(platform: Platform, digest: str) -> ObjectPath:
    root = platform.lake.location.root
    assert isinstance(root, ObjectPath)
    return root / next(key for key, _ in root.walk() if key.endswith(digest))


def _write(target: ObjectPath, content: bytes) -> None:
    with target.create() as stream:
        stream.write(content)


def test_a_store_that_goes_away_while_publishing_leaves_one_result(opened, object_store, tmp_path):
    """Nothing is recorded of what no other machine can read; the step is repeated as it is."""
    first, second = map(opened, "ab")
    cycle = _begin(first)
    assemble_dataset(first, cycle)
    publish, down = first.artifacts.publish, ExitStack()

    def publish_while_away(path):
        down.enter_context(_away(object_store))
        publish(path)

    first.artifacts.publish = publish_while_away
    with down, pytest.raises(UnavailableError, match="does not answer"):
        _train(first, cycle)
    first.artifacts.publish = publish
    assert first.state.releases.of("parts") == []
    assert first.state.attempts.get(cycle, 1).candidate is None

    wait_until(lambda: _is_readable(first, "bases/parts.json"), "the store to hand out objects")
    assert second.artifacts.names("runs") == []
    result = _train(first, cycle)
    assert [one.manifest_digest for one in second.state.releases.of("parts")] == [
        result.manifest_digest
    ]
    assert _train(second, cycle) == result
    adapter = tmp_path / "b" / "runs" / "parts" / cycle.name / "1" / "adapter" / "manifest.json"
    assert hashlib.sha256(adapter.read_bytes()).hexdigest() == result.manifest_digest


def test_rays_exchange_lies_under_the_same_root(opened, object_store, tmp_path):
    """Folders go in and out whole, listings are those of now, and no error quotes a key."""
    exchange = Exchange(opened("a").settings.train_exchange_url)
    assert exchange.url.endswith("/_exchange")
    folder = tmp_path / "folder" / "inner"
    folder.mkdir(parents=True)
    (folder / "b.bin").write_bytes(bytes(range(256)))
    assert exchange.names("runs") == []
    for name in ("one", "two"):
        exchange.put_folder(tmp_path / "folder", f"runs/{name}")
    exchange.remove("runs/two")
    exchange.remove("runs/nothing")
    assert Exchange(exchange.url).names("runs") == ["one"]
    assert not exchange.has_folder("runs/two")
    exchange.get_folder("runs/one", tmp_path / "out")
    assert (tmp_path / "out" / "inner" / "b.bin").read_bytes() == bytes(range(256))
    exchange.write_json("lease.json", {"beat": 1})
    exchange.write_json("lease.json", {"beat": 2})
    assert exchange.read_json("lease.json") == {"beat": 2}
    assert exchange.read("nothing") is None

    with _away(object_store), pytest.raises(UnavailableError, match="Could not") as caught:
        exchange.read("lease.json")
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)

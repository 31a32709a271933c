"""Of two trainings of one attempt, every home goes on with the recorded one."""

from types import SimpleNamespace

import pytest

from flywheel.artifacts.adapter_folder import verify_adapter, write_manifest
from flywheel.artifacts.local_copy import set_source
from flywheel.lake.home_artifacts import HomeArtifacts
from flywheel.ports.train_launcher import TrainResult
from flywheel.usecases.published_training import bring_recorded_training, publish_training
from tests.fakes.memory_objects import MemoryObjects

RELEASE = "defects.2026Q1-1.abc"


class _Machine:
    # A home with a training of its own, on a state and a store that it shares.
    def __init__(self, home, objects, releases) -> None:
        self.out = home / "runs" / "defects" / "2026Q1-1" / "1"
        self.artifacts = HomeArtifacts(home, lambda: objects.artifacts)
        self.platform = SimpleNamespace(
            artifacts=self.artifacts,
            state=SimpleNamespace(releases=SimpleNamespace(of=lambda _: releases)),
        )

    def train(self, content):
        adapter = self.out / "adapter"
        adapter.mkdir(parents=True, exist_ok=True)
        (adapter / "adapter_model.safetensors").write_bytes(content)
        digest = write_manifest(adapter, {"base_digest": "b" * 64})
        result = TrainResult(
            status="succeeded",
            release=RELEASE,
            adapter="adapter",
            manifest_digest=digest,
            dataset_hash="d",
            base_digest="b" * 64,
            metrics={},
        )
        (self.out / "result.json").write_text(result.model_dump_json())
        (self.out / "progress.jsonl").write_bytes(content)
        return result

    def digests(self):
        result = TrainResult.model_validate_json((self.out / "result.json").read_bytes())
        return result.manifest_digest, verify_adapter(self.out / "adapter")


@pytest.fixture
def releases():
    """Return the releases that the state names."""
    return []


@pytest.fixture
def machines(tmp_path, releases):
    """Return two machines of one deployment."""
    objects = MemoryObjects(tmp_path / "lake")
    made = [_Machine(tmp_path / name, objects, releases) for name in "ab"]
    for one in made:
        set_source(one.artifacts.home, one.artifacts)
    yield made
    for one in made:
        set_source(one.artifacts.home, None)


def _record(releases, result):
    releases.append(SimpleNamespace(release=RELEASE, manifest_digest=result.manifest_digest))


def test_a_training_that_was_not_recorded_gives_way(machines, releases):
    """The repeated step finds adapter, progress and result of the other machine."""
    first, second = machines
    own, recorded = first.train(b"a"), second.train(b"b")
    publish_training(second.platform, recorded, second.out)
    _record(releases, recorded)
    publish_training(first.platform, own, first.out)  # too late, and nothing is overwritten

    bring_recorded_training(first.platform, RELEASE, first.out)
    assert first.digests() == (recorded.manifest_digest, recorded.manifest_digest)
    assert (first.out / "progress.jsonl").read_bytes() == b"b"


def test_a_result_without_its_adapter_gives_way_too(machines, releases):
    """The gate may have fetched the recorded adapter alone."""
    first, second = machines
    recorded = second.train(b"b")
    publish_training(second.platform, recorded, second.out)
    _record(releases, recorded)
    first.train(b"a")
    first.artifacts.bring(first.out / "adapter", again=True)
    bring_recorded_training(first.platform, RELEASE, first.out)
    assert first.digests() == (recorded.manifest_digest, recorded.manifest_digest)


def test_the_recorded_training_stays_whatever_is_published(machines, releases):
    """Two that published at once may have left the other one in the store: a repeat mends that."""
    first, second = machines
    own, recorded = first.train(b"a"), second.train(b"b")
    publish_training(second.platform, recorded, second.out)
    publish_training(first.platform, own, first.out)
    _record(releases, recorded)
    bring_recorded_training(second.platform, RELEASE, second.out)
    assert second.digests() == (recorded.manifest_digest, recorded.manifest_digest)
    publish_training(second.platform, recorded, second.out)
    bring_recorded_training(first.platform, RELEASE, first.out)
    assert first.digests() == (recorded.manifest_digest, recorded.manifest_digest)


def test_a_training_that_was_not_recorded_yet_is_kept(machines):
    """It is what the step goes on from."""
    first, second = machines
    own, other = first.train(b"a"), second.train(b"b")
    publish_training(second.platform, other, second.out)
    bring_recorded_training(first.platform, RELEASE, first.out)
    assert first.digests() == (own.manifest_digest, own.manifest_digest)

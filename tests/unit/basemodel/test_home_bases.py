"""The base of a workload lies in the home, agrees with the file, and is found after a move."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from flywheel.artifacts.base_folder import RECORD, BaseModel, cached_folder, files_digest
from flywheel.artifacts.local_copy import set_source
from flywheel.basemodel import HomeBases
from flywheel.errors import ConfigurationError, IntegrityError, NotFoundError, UnavailableError
from flywheel.lake.home_artifacts import HomeArtifacts
from flywheel.workload.model import Workload
from tests.fakes.memory_objects import MemoryObjects
from tests.fakes.micro_base import classification


@pytest.fixture
def workload() -> Workload:
    """A workload whose file names the tiny base."""
    return classification().model_copy(update={"base_model": "tiny"})


@pytest.fixture
def built(tmp_path: Path) -> BaseModel:
    """A base in the cache, one file long."""

    def make(folder: Path) -> dict[str, str]:
        (folder / "config.json").write_text("{}")
        return {"name": "tiny"}

    return cached_folder(tmp_path / "cache", "tiny-parts", make)


def test_base_belongs_to_the_home(tmp_path: Path, workload: Workload, built: BaseModel):
    """A home that was moved away from its cache serves its own files."""
    placed = HomeBases(tmp_path / "home", tmp_path / "cache").remember(workload, built)
    assert placed.folder == tmp_path / "home" / "bases" / "models" / "tiny-parts"
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "home").rename(tmp_path / "moved")
    found = HomeBases(tmp_path / "moved", tmp_path / "nowhere").find(workload)
    assert found.folder.is_relative_to(tmp_path / "moved")
    assert found.digest == built.digest


def test_base_of_an_earlier_version_is_found(tmp_path: Path, workload: Workload, built: BaseModel):
    """A record with an absolute path is read, also when the cache has moved since."""
    record = tmp_path / "home" / "bases" / "parts.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"folder": str(built.folder), "digest": built.digest}))
    assert HomeBases(tmp_path / "home", tmp_path / "cache").find(workload) == built
    (tmp_path / "cache").rename(tmp_path / "elsewhere")
    found = HomeBases(tmp_path / "home", tmp_path / "elsewhere").find(workload)
    assert found.digest == built.digest


def test_base_that_is_gone_is_named(tmp_path: Path, workload: Workload, built: BaseModel):
    """Neither another base of the cache nor a changed one is taken instead."""
    bases = HomeBases(tmp_path / "home", tmp_path / "cache")
    with pytest.raises(NotFoundError, match="not built yet"):
        bases.find(workload)
    placed = bases.remember(workload, built)
    for folder in (placed.folder, built.folder):
        text = (folder / RECORD).read_text().replace(built.digest, "0" * 64)
        (folder / RECORD).unlink()
        (folder / RECORD).write_text(text)
    with pytest.raises(NotFoundError, match=built.digest[:16]):
        bases.find(workload)


def test_file_and_built_base_must_agree(tmp_path: Path, workload: Workload, built: BaseModel):
    """A base that was built does not silently win over the one that the file names."""
    bases = HomeBases(tmp_path / "home", tmp_path / "cache")
    bases.remember(workload, built)
    other = workload.model_copy(update={"base_model": "smollm2"})
    with pytest.raises(ConfigurationError, match="smollm2, but tiny was built") as caught:
        bases.find(other)
    assert "base build smollm2 --workload parts" in str(caught.value.next_step)


def test_damaged_base_of_the_home_is_replaced(tmp_path: Path, workload: Workload, built: BaseModel):
    """Building again brings the files back that were damaged in the home."""
    bases = HomeBases(tmp_path / "home", tmp_path / "cache")
    placed = bases.remember(workload, built)
    (placed.folder / "config.json").unlink()
    (placed.folder / "config.json").write_text("damaged")
    assert files_digest(bases.remember(workload, built).folder) == built.digest


def test_base_is_copied_where_it_cannot_be_linked(
    tmp_path: Path, workload: Workload, built: BaseModel, monkeypatch: pytest.MonkeyPatch
):
    """Cache and home may lie on two file systems."""

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("flywheel.basemodel.home_bases.os.link", refuse)
    placed = HomeBases(tmp_path / "home", tmp_path / "cache").remember(workload, built)
    assert files_digest(placed.folder) == built.digest


@pytest.mark.parametrize("content", ["{", "[]", '{"digest": 1, "folder": "x"}'])
def test_a_damaged_record_is_said(tmp_path: Path, workload: Workload, content: str):
    """With the file, and what to do."""
    record = tmp_path / "home" / "bases" / f"{workload.id}.json"
    record.parent.mkdir(parents=True)
    record.write_text(content)
    with pytest.raises(IntegrityError, match="is damaged"):
        HomeBases(tmp_path / "home", tmp_path / "cache").find(workload)


def test_another_base_that_is_damaged_hides_none(
    tmp_path: Path, workload: Workload, built: BaseModel
):
    """A base that moved is looked for among all of the cache, whatever lies there."""
    broken = tmp_path / "cache" / "a-broken-one"
    broken.mkdir()
    (broken / RECORD).write_text("{")
    record = tmp_path / "home" / "bases" / f"{workload.id}.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"folder": "models/gone", "digest": built.digest}))
    assert HomeBases(tmp_path / "home", tmp_path / "cache").find(workload) == built


def test_a_second_base_lies_beside_the_first(tmp_path: Path, workload: Workload, built: BaseModel):
    """The file keeps the first one; a cycle or bake-off that names the other finds it."""

    def make(folder: Path) -> dict[str, str]:
        (folder / "config.json").write_text('{"other": 1}')
        return {"name": "other"}

    other = cached_folder(tmp_path / "cache", "other", make)
    bases = HomeBases(tmp_path / "home", tmp_path / "cache")
    bases.remember(workload, built)
    moved = workload.model_copy(update={"base_model": "owner/other"})
    with pytest.raises(ConfigurationError, match="names the base model owner/other"):
        bases.find(moved)
    bases.remember(moved, other)
    assert bases.find(workload).digest == built.digest
    assert bases.find(moved).digest == other.digest
    assert bases.recorded_digest(moved) == other.digest
    assert bases.with_digest(built.digest).folder == bases.find(workload).folder
    with pytest.raises(NotFoundError, match="No base with the digest"):
        bases.with_digest("0" * 64)


def test_a_base_is_looked_up_without_fetching_it(tmp_path: Path, built: BaseModel):
    """The store is asked only where the base is to be brought here."""

    class Store:
        def names(self, _: str) -> list[str]:
            raise UnavailableError("the object store was asked")

    bases = HomeBases(tmp_path / "home", tmp_path / "cache", Store())
    assert bases.with_digest(built.digest, fetch=False) == built
    with pytest.raises(NotFoundError):
        bases.with_digest("0" * 64, fetch=False)
    with pytest.raises(UnavailableError):
        bases.with_digest("0" * 64)


def _same_inputs(cache: Path, content: str) -> BaseModel:
    def make(folder: Path) -> dict[str, str]:
        (folder / "config.json").write_text(content)
        return {"name": "tiny"}

    return cached_folder(cache, "tiny-parts", make)


def test_the_same_inputs_with_other_bytes_lie_beside(
    tmp_path: Path, workload: Workload, built: BaseModel
):
    """A library's next version may build another base: adapters of the first one keep theirs."""
    other = _same_inputs(tmp_path / "other", '{"other": 1}')
    bases = HomeBases(tmp_path / "home", tmp_path / "nowhere")
    first, second = bases.remember(workload, built), bases.remember(workload, other)
    assert second.folder.name == f"tiny-parts-{other.digest[:8]}"
    assert bases.remember(workload, second) == second
    assert bases.find(workload) == second
    assert bases.with_digest(first.digest) == first


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[list[tuple[HomeBases, HomeArtifacts]]]:
    """Return three homes of one deployment."""
    objects = MemoryObjects(tmp_path / "lake")
    made = []
    for name in "abc":
        artifacts = HomeArtifacts(tmp_path / name, lambda: objects.artifacts)
        set_source(tmp_path / name, artifacts)
        made.append((HomeBases(tmp_path / name, tmp_path / name / "cache", artifacts), artifacts))
    yield made
    for _, artifacts in made:
        set_source(artifacts.home, None)


def test_two_machines_build_other_bytes_from_the_same_inputs(
    tmp_path: Path, workload: Workload, homes
):
    """Neither publishes over the other one, and every home finds both."""
    (first, _), (second, _), (third, _) = homes
    one = _same_inputs(tmp_path / "a" / "cache", '{"machine": 1}')
    two = _same_inputs(tmp_path / "b" / "cache", '{"machine": 2}')
    first.remember(workload, one)
    second.remember(workload, two)
    for bases in (first, second, third):
        bases.renew(workload)
        assert bases.find(workload).digest == two.digest
        assert bases.with_digest(one.digest).digest == one.digest


def test_a_base_that_was_published_over_another_is_fetched_beside_it(
    tmp_path: Path, workload: Workload, homes
):
    """As an earlier version did: the home keeps the one that its adapters stand on."""
    (first, _), (_, artifacts), _ = homes
    one = first.remember(workload, _same_inputs(tmp_path / "a" / "cache", '{"machine": 1}'))
    other = HomeBases(tmp_path / "b", tmp_path / "b" / "cache")
    two = other.remember(workload, _same_inputs(tmp_path / "b" / "cache", '{"machine": 2}'))
    artifacts.publish(two.folder)
    artifacts.publish(tmp_path / "b" / "bases" / f"{workload.id}.json")
    first.renew(workload)
    assert first.find(workload).digest == two.digest
    assert first.with_digest(one.digest) == one

"""Homes of one deployment: what one publishes the other reads, and only that."""

import hashlib
import json
import shutil
from datetime import UTC, datetime

import pytest

from flywheel.artifacts.adapter_folder import verify_adapter, write_manifest
from flywheel.artifacts.base_folder import RECORD
from flywheel.artifacts.gate_file import GateReportRef
from flywheel.artifacts.local_copy import set_source
from flywheel.artifacts.snapshot import open_snapshot, read_rows, verify_snapshot
from flywheel.dataset.erasing import erase_rows, finish_erasing
from flywheel.errors import IntegrityError, NotFoundError, UnavailableError
from flywheel.lake import home_artifacts
from flywheel.lake.digests import digest_of
from flywheel.lake.home_artifacts import HomeArtifacts, artifact_name
from tests.fakes.memory_objects import MemoryObjects
from tests.fakes.release_world import make_workload, rows_for, write_snapshot

NOW = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture
def objects(tmp_path):
    """Return an empty bucket."""
    return MemoryObjects(tmp_path / "lake")


@pytest.fixture
def homes(objects, tmp_path):
    """Return two homes of one deployment."""
    made = [HomeArtifacts(tmp_path / name, lambda: objects.artifacts) for name in "ab"]
    for one in made:
        set_source(one.home, one)
    yield made
    for one in made:
        set_source(one.home, None)


def _dataset(home: HomeArtifacts):
    workload = make_workload("defects")
    splits = {"train": rows_for(workload, "train", 4), "golden": rows_for(workload, "golden", 2)}
    return write_snapshot(home.home / "datasets" / "defects", workload, "2026Q1-1", splits)


def _adapter(home: HomeArtifacts, content: bytes = b"weights"):
    folder = home.home / "runs" / "defects" / "2026Q1-1" / "1" / "adapter"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_model.safetensors").write_bytes(content)
    return folder, write_manifest(folder, {"base_digest": "b" * 64})


def _base_record(digit: str) -> str:
    return json.dumps({"name": "tiny", "digest": digit * 64, "surfaces": {}, "reserved": []})


def _at(home: HomeArtifacts, other: HomeArtifacts, path):
    return home.home / path.relative_to(other.home)


def test_a_second_home_reads_what_the_first_published(homes):
    """Dataset, adapter and gate report are fetched when they are opened, and then once."""
    first, second = homes
    dataset, (adapter, digest) = _dataset(first), _adapter(first)
    gate = adapter.with_name("gate.json")
    gate.write_text("{}")
    for path in (dataset, adapter, gate):
        first.publish(path)

    assert verify_snapshot(_at(second, first, dataset)).hash == dataset.name
    assert read_rows(_at(second, first, dataset), "train") == read_rows(dataset, "train")
    assert verify_adapter(_at(second, first, adapter)) == digest
    recorded = hashlib.sha256(b"{}").hexdigest()
    assert GateReportRef(_at(second, first, gate), recorded, "pass").read_text() == "{}"


def test_what_was_not_published_is_not_there(homes):
    """The error is that of a home that lacks it."""
    first, second = homes
    with pytest.raises(NotFoundError):
        open_snapshot(_at(second, first, _dataset(first)))
    with pytest.raises(IntegrityError, match="no readable manifest"):
        verify_adapter(_at(second, first, _adapter(first)[0]))


def test_a_lake_on_a_disk_publishes_nothing(tmp_path):
    """There is one home, and no store is opened."""
    home = HomeArtifacts(tmp_path, None)
    home.publish(_dataset(home))
    home.bring(tmp_path / "datasets" / "defects" / "other")
    assert (home.names(), home.unpublished(), home.settle()) == ([], [], [])


def test_an_object_that_was_changed_reaches_no_reader(homes, objects):
    """Neither as a dataset nor as an adapter, and it is refused again the next time."""
    first, second = homes
    adapter, _ = _adapter(first)
    first.publish(adapter)
    weights = hashlib.sha256(b"weights").hexdigest()
    objects.write(f"runs/defects/2026Q1-1/1/adapter/{weights}", b"poison!")
    for _ in range(2):
        with pytest.raises(IntegrityError, match="sha256"):
            verify_adapter(_at(second, first, adapter))
        assert not _at(second, first, adapter).exists()


def test_a_second_look_reaches_a_home_that_holds_the_first(homes):
    """The digest that the row names decides, and the report is fetched again."""
    first, second = homes
    gate = _adapter(first)[0].with_name("gate.json")
    for text in ("first", "second"):
        gate.write_text(text)
        first.publish(gate)
        recorded = hashlib.sha256(text.encode()).hexdigest()
        assert GateReportRef(_at(second, first, gate), recorded, "pass").read_text() == text
    with pytest.raises(IntegrityError, match="changed after the decision"):
        GateReportRef(_at(second, first, gate), "0" * 64, "pass").read_text()


def test_an_erasure_reaches_every_copy(homes, objects):
    """Neither the store nor a home that fetched the rows before keeps them; none brings them back."""
    first, second = homes
    dataset = _dataset(first)
    first.publish(dataset)
    copy = _at(second, first, dataset)
    assert len(read_rows(copy, "train")) == 4

    assert erase_rows(dataset, {"train-1"}, NOW) == 1
    assert len(read_rows(dataset, "train")) == 3  # what is published does not undo it meanwhile
    first.publish_erased(dataset)
    assert not objects.holds(b"train-1")
    second.publish(copy)  # as a step that is repeated there does
    assert not objects.holds(b"train-1")
    assert [row["inference_id"] for row in read_rows(copy, "train")] == [
        "train-0",
        "train-2",
        "train-3",
    ]
    assert verify_snapshot(copy).erased == 1
    assert not list(copy.parent.glob(".*"))


def test_a_copy_that_nobody_opens_is_settled(homes):
    """Upkeep of the lake on each machine is enough for an erasure to reach its home."""
    first, second = homes
    dataset = _dataset(first)
    first.publish(dataset)
    second.bring_all("datasets")
    erase_rows(dataset, {"golden-1"}, NOW)
    first.publish_erased(dataset)
    assert b"golden-1" in (_at(second, first, dataset) / "golden.jsonl").read_bytes()
    assert second.settle() == []
    assert b"golden-1" not in (_at(second, first, dataset) / "golden.jsonl").read_bytes()


def test_what_a_killed_fetch_left_is_erased_too(homes):
    """Half a copy holds rows as well."""
    first, second = homes
    dataset = _at(second, first, _dataset(first))
    part = dataset.parent / f".{dataset.name}-x1.fetched" / dataset.name
    part.mkdir(parents=True)
    (part / "train.jsonl").write_text("what anna said")
    finish_erasing(second.home / "datasets")
    assert not part.parent.exists()


def test_a_home_of_before_is_published_by_upkeep(homes):
    """Whole artifacts alone, and no logs, checkpoints or leftovers."""
    first, second = homes
    dataset, (adapter, _) = _dataset(first), _adapter(first)
    for name in ("trainer.log", "progress.jsonl", "spec.json", "result.json"):
        adapter.with_name(name).write_text("{}")
    dataset.with_name(".abc.part").mkdir()
    (dataset.with_name(".abc.part") / "manifest.json").write_text("{}")
    names = [
        f"datasets/defects/{dataset.name}",
        "runs/defects/2026Q1-1/1/adapter",
        "runs/defects/2026Q1-1/1/result.json",
    ]
    assert first.unpublished() == names
    assert first.settle() == names
    assert second.names() == names
    assert first.settle() == []


def test_upkeep_mends_what_the_store_has_lost(homes, objects):
    """From any home that holds the same; whoever holds another one changes nothing."""
    first, second = homes
    dataset, (adapter, _) = _dataset(first), _adapter(first)
    names = [first.name_of(path) for path in (dataset, adapter)]
    first.settle()
    _adapter(second, b"another training")
    weights = f"{names[1]}/{hashlib.sha256(b'weights').hexdigest()}"
    lost = next(key for key in objects.keys if key.startswith(names[0]) and "list" not in key)
    objects.remove(lost)
    objects.write(weights, b"wEights")
    assert second.settle() == []
    assert first.settle() == names
    assert [objects.artifacts.problems(name, content=True) for name in names] == [[], []]
    assert first.settle() == []


def test_a_damaged_list_keeps_nothing_else_from_being_published(homes, objects):
    """A home with another artifact of its name leaves it as it is, and its reader is told."""
    first, second = homes
    adapter, _ = _adapter(first)
    first.settle()
    name = first.name_of(adapter)
    objects.write(f"{name}/list.json", b"{")
    _adapter(second, b"another training")
    dataset = _dataset(second)
    assert second.settle() == [second.name_of(dataset)]
    with pytest.raises(IntegrityError, match="damaged list"):
        objects.artifacts.fetch(name, second.home / "copy")


def test_a_damaged_list_is_written_again_where_the_artifact_is(homes, objects):
    """The home whose copy is what lies in the store knows what the list named."""
    first, second = homes
    adapter, digest = _adapter(first)
    dataset = _dataset(first)
    first.settle()
    names = [first.name_of(path) for path in (dataset, adapter)]
    for name in names:
        objects.write(f"{name}/list.json", b"{")
    assert first.settle() == names
    assert first.settle() == []
    assert verify_adapter(_at(second, first, adapter)) == digest
    verify_snapshot(_at(second, first, dataset))


def test_a_published_dataset_is_never_replaced_by_a_copy(homes, objects):
    """Whatever the copy holds, `publish_erased` alone changes a published dataset."""
    first, _ = homes
    dataset = _dataset(first)
    first.publish(dataset)
    written = objects.writes
    erase_rows(dataset, {"train-1"}, NOW)
    first.publish(dataset)
    assert objects.writes == written
    assert objects.holds(b"train-1")
    first.publish_erased(dataset)
    assert not objects.holds(b"train-1")


def test_a_store_that_is_away_keeps_what_is_here_readable(homes, objects):
    """Of what does not change, only what is lacking needs the store."""
    first, _ = homes
    adapter, digest = _adapter(first)
    with objects.away_after(0), pytest.raises(UnavailableError):
        first.publish(adapter)
    assert first.names() == []
    assert verify_adapter(adapter) == digest


def test_a_backup_holds_what_other_homes_made(homes, tmp_path):
    """And fewer rows where this home was not told of an erasure."""
    first, second = homes
    dataset, (adapter, digest) = _dataset(first), _adapter(first)
    first.publish(dataset)
    first.publish(adapter)
    copied = tmp_path / "backup"
    copy = _dataset(HomeArtifacts(copied, None))
    erase_rows(dataset, {"train-1"}, NOW)
    first.publish_erased(dataset)
    second.copy_to(copied)
    assert verify_snapshot(copy).erased == 1
    assert verify_adapter(copied / "runs" / "defects" / "2026Q1-1" / "1" / "adapter") == digest
    assert not second.home.exists()


def test_a_backup_holds_what_is_published_where_the_home_has_another(homes, tmp_path):
    """The state names the second report, and the base that another machine has built since."""
    first, second = homes
    copied = HomeArtifacts(tmp_path / "backup", None)
    (adapter, _), (own, _) = _adapter(first, b"published"), _adapter(copied, b"trained here")
    gate = adapter.with_name("gate.json")
    record = first.home / "bases" / "defects.json"
    base = first.home / "bases" / "models" / "tiny-1"
    base.mkdir(parents=True)
    for path, now, before in (
        (gate, "second look", "first look"),
        (record, '{"digest": "b"}', '{"digest": "a"}'),
        (base / RECORD, _base_record("b"), _base_record("a")),
        (base / "model.safetensors", "weights B", "weights A"),
    ):
        path.write_text(now)
        copy = _at(copied, first, path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(before)
    for path in (adapter, gate, record, base):
        first.publish(path)

    second.copy_to(copied.home)
    for path in (gate, record):
        assert _at(copied, first, path).read_text() == path.read_text()
    models = _at(copied, first, base.parent)
    bases = {path.parent.name: path.read_text() for path in models.glob("*/model.safetensors")}
    assert bases == {"tiny-1": "weights A", f"tiny-1-{'b' * 8}": "weights B"}
    assert (own / "adapter_model.safetensors").read_bytes() == b"published"


def test_a_backup_of_a_base_is_compared_by_size(homes, tmp_path, monkeypatch):
    """But for its record: the weights may have gigabytes."""
    first, second = homes
    base = first.home / "bases" / "models" / "tiny-1"
    base.mkdir(parents=True)
    (base / RECORD).write_text(_base_record("a"))
    (base / "model.safetensors").write_text("weights")
    first.publish(base)
    copy = _at(HomeArtifacts(tmp_path / "backup", None), first, base)
    shutil.copytree(base, copy)
    read = []
    monkeypatch.setattr(
        home_artifacts, "digest_of", lambda path: read.append(path) or digest_of(path)
    )
    second.copy_to(tmp_path / "backup")
    assert read == [copy / RECORD]
    (copy / "model.safetensors").write_text("half")
    second.copy_to(tmp_path / "backup")
    assert (copy / "model.safetensors").read_text() == "weights"


@pytest.mark.parametrize("name", ["state.db", "datasets/../../outside", "runs/defects/x"])
def test_a_name_that_is_no_artifacts_is_left_alone(homes, tmp_path, name):
    """Whatever else lies in the bucket, it comes neither into a home nor into a backup."""
    first, second = homes
    file = tmp_path / "file"
    file.write_text("poison")
    first.store.publish(name, file)
    assert second.names() == []
    second.bring(second.home / name)
    second.copy_to(tmp_path / "backup" / "home")
    assert not second.home.exists()
    assert not (tmp_path / "backup").exists()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("datasets/defects/abc/train.jsonl", "datasets/defects/abc"),
        ("datasets/defects/.abc.part", None),
        ("datasets/defects", None),
        ("runs/defects/2026Q1-1/1/adapter/manifest.json", "runs/defects/2026Q1-1/1/adapter"),
        ("runs/defects/2026Q1-1/1/gate.json", "runs/defects/2026Q1-1/1/gate.json"),
        ("runs/defects/2026Q1-1/1/gate.json.part", None),
        ("runs/defects/2026Q1-1/1/checkpoints/step-1", None),
        ("bases/defects.json", "bases/defects.json"),
        ("bases/models/tiny-1/model.safetensors", "bases/models/tiny-1"),
        ("state.db", None),
    ],
)
def test_an_artifact_has_the_name_of_its_place(path, name):
    """Paths inside belong to the artifact, everything else to none."""
    assert artifact_name(path) == name


def test_a_damaged_manifest_is_left_to_its_reader(homes):
    """It is no erasure, and the reader's error tells of it."""
    first, second = homes
    dataset = _dataset(first)
    first.publish(dataset)
    copy = _at(second, first, dataset)
    open_snapshot(copy)
    (copy / "manifest.json").write_text(json.dumps([]))
    second.bring(copy)
    (copy / "manifest.json").write_text("{")
    with pytest.raises(IntegrityError, match="not JSON"):
        open_snapshot(copy)

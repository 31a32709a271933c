"""Backup and restore: a deployment elsewhere that verifies and promotes, also of an older version."""

import json
import shutil
import stat
import tarfile
import threading
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from flywheel.clock import ManualClock
from flywheel.deployment.backup import BASES, MANIFEST, back_up
from flywheel.deployment.restore import restore
from flywheel.errors import FlywheelError, IntegrityError, NotFoundError, RefusedError
from flywheel.release.promotion import promote
from flywheel.settings import load_settings, restrict_files
from flywheel.wiring import Platform
from flywheel.workload.answers import AnswerCodec
from tests.fakes.model_server import FakeModelServer
from tests.fakes.release_world import right
from tests.fakes.umask import umask

NOW = datetime(2026, 4, 2, tzinfo=UTC)  # the approval of r2 counts
ARCHIVE = Path(__file__).parents[3] / "data" / "deployment-0.1-7550981.tar.xz"


@pytest.fixture
def open_home(monkeypatch):
    """Return a function that opens another home; all are closed at the end."""
    opened = []

    def run(home):
        monkeypatch.setenv("FLYWHEEL_HOME", str(home))
        opened.append(Platform(load_settings(), ManualClock(NOW)))
        return opened[-1]

    yield run
    for platform in opened:
        platform.close()


@pytest.fixture
def program_umask():
    """Set the umask as a program of Flywheel's own does."""
    with umask(0o022):
        restrict_files(load_settings())
        yield


def _promote(platform):
    (workload,) = platform.workloads.values()
    server = FakeModelServer({"base": lambda _: "dent", "r1": right, "r2": right})
    (cycle,) = [c for c in platform.state.cycles.of(workload.id) if c.status == "approved"]
    return promote(
        platform.state,
        platform.lake,
        server,
        platform.registry,
        cycle.ref,
        codec=AnswerCodec(workload, {}),
    )


def test_a_restored_backup_verifies_and_promotes(
    platform, home, tmp_path, open_home, command, findings
):
    """The former home may be gone: state, MLflow and base name the new one's files."""
    done = back_up(platform, tmp_path / "backup")
    assert any("FLYWHEEL_HASH_KEY" in sentence for sentence in done.not_included)
    platform.close()
    shutil.rmtree(home.parent)
    restored = restore(tmp_path / "backup", tmp_path / "elsewhere" / "home")
    assert restored.files == done.files
    again = open_home(restored.home)
    (workload,) = again.workloads.values()
    assert again.base(workload).folder.parent == restored.home / BASES
    assert findings() == {}
    assert _promote(again).release == "r2"
    assert findings() == {}
    assert not home.exists()


def test_a_deployment_of_the_version_before_is_read_and_promotes(
    tmp_path, open_home, command, findings
):
    """State, lake, registry and records as 0.1 wrote them, at another place."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path / "old", filter="data")
    platform = open_home(tmp_path / "old" / "home")
    (workload,) = platform.workloads.values()
    # The base's folder was named by its absolute path then.
    assert set(findings()) <= {f"base of {workload.id}"}
    shown = command("verify").stdout
    assert "2 readable and not verified: written before digests were kept" in shown
    release = platform.state.releases.get("r2")
    assert Path(release.adapter).is_relative_to(platform.home)
    assert _promote(platform).release == "r2"


def test_a_backup_while_rows_arrive_is_of_one_moment(platform, tmp_path, open_home, findings):
    """Writers go on; what is copied opens at the versions that were copied."""
    stop, failures = threading.Event(), []

    def write() -> None:
        writer = Platform(load_settings())
        number = 0
        try:
            while not stop.is_set():
                row = {"workload_id": ["w"], "correction_id": [f"n{number}"]}
                writer.lake.append("corrections", pa.table(row))
                writer.state.audit.append("test.row", f"w/{number}", "tests")
                number += 1
        except FlywheelError as error:
            failures.append(error)
        finally:
            writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        back_up(platform, tmp_path / "backup")
    finally:
        stop.set()
        thread.join()
    assert failures == []
    restored = restore(tmp_path / "backup", tmp_path / "new")
    open_home(restored.home)
    assert findings() == {}


def test_a_damaged_or_unfinished_backup_restores_nothing(platform, tmp_path):
    """The list of hashes is written last and checked first."""
    back_up(platform, tmp_path / "backup")
    with pytest.raises(RefusedError, match="not empty"):
        back_up(platform, tmp_path / "backup")
    with pytest.raises(RefusedError, match="in the home"):
        back_up(platform, platform.home / "backup")
    (tmp_path / "backup" / "log.db").write_bytes(b"other")
    with pytest.raises(IntegrityError, match=r"log\.db has"):
        restore(tmp_path / "backup", tmp_path / "new")
    assert not (tmp_path / "new").exists()
    (tmp_path / "backup" / MANIFEST).unlink()
    with pytest.raises(NotFoundError, match="no complete backup"):
        restore(tmp_path / "backup", tmp_path / "new")


def test_files_are_for_this_user_alone(platform, tmp_path, open_home, program_umask):
    """Whatever library makes them, in a home and in a backup, in a program of Flywheel's own."""
    back_up(platform, tmp_path / "backup")
    fresh = open_home(tmp_path / "fresh")
    fresh.lake.append("corrections", pa.table({"workload_id": ["w"], "input": ["a text"]}))
    fresh.state.audit.append("test.row", "w/1", "tests")
    for top in (tmp_path / "backup", tmp_path / "fresh"):
        for path in [top, *top.rglob("*")]:
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode == (0o700 if path.is_dir() else 0o600), path


def test_a_restored_home_can_be_moved_with_its_base(platform, tmp_path, open_home):
    """The record of a base that was outside of the home is relative to the new one."""
    back_up(platform, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "new").home.rename(tmp_path / "moved-again")
    shutil.rmtree(tmp_path / "moved")
    again = open_home(tmp_path / "moved-again")
    (workload,) = again.workloads.values()
    assert again.base(workload).folder.parent == tmp_path / "moved-again" / BASES


def test_cache_and_services_in_the_home_are_left_out(home, tmp_path, open_home, monkeypatch):
    """What services write while they run, and their passwords, are in no backup; it says so."""
    for folder in ("cache", "services"):
        monkeypatch.setenv(f"FLYWHEEL_{folder.upper()}", str(home / folder))
        (home / folder).mkdir()
        (home / folder / "password").write_text("secret")
    (home / "runs" / "cache").mkdir(parents=True, exist_ok=True)
    (home / "runs" / "cache" / "file").write_text("of a workload that is called so")
    done = back_up(open_home(home), tmp_path / "backup")
    assert not list((tmp_path / "backup").rglob("password"))
    assert (tmp_path / "backup" / "runs" / "cache" / "file").is_file()
    said = [sentence for sentence in done.not_included if "started again" in sentence]
    assert [sentence.partition(":")[0] for sentence in said] == [
        str(home / "cache"),
        str(home / "services"),
    ]


@pytest.mark.parametrize("content", ["{", '{"digest": 1}', "[]"])
def test_a_base_in_doubt_keeps_nothing_else_from_being_saved(platform, home, tmp_path, content):
    """A damaged record is a sentence of the backup, and restored as it was."""
    (workload,) = platform.workloads.values()
    (home / "bases" / f"{workload.id}.json").write_text(content)
    done = back_up(platform, tmp_path / "backup")
    assert any("is damaged" in sentence for sentence in done.not_included)
    assert restore(tmp_path / "backup", tmp_path / "new").files == done.files


@pytest.mark.parametrize(
    "change",
    [
        {"files": None},
        {"files": [1]},
        {"files": [{"path": "a", "size": 1}]},
        {"made_at": None},
        {"not_included": 5},
    ],
)
def test_a_damaged_list_restores_nothing(platform, tmp_path, change):
    """Whatever is wrong in the list is said, and is no fault of ours."""
    back_up(platform, tmp_path / "backup")
    file = tmp_path / "backup" / MANIFEST
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(IntegrityError, match=r"its list backup\.json"):
        restore(tmp_path / "backup", tmp_path / "new")
    assert not (tmp_path / "new").exists()

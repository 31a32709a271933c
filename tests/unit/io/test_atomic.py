"""A file is the former one or the new one, whatever happens while it is written."""

import os
import stat

import pytest

from flywheel.io.atomic import (
    copy_file,
    creating,
    make_folder,
    place,
    write_bytes,
    write_json,
    write_text,
    writing,
)
from tests.fakes.power_cut import PowerCut, PowerFailure
from tests.fakes.umask import umask

STEPS = ["fsync", "replace", "fsync folder"]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_content_comes_before_the_name_and_the_name_before_the_return(tmp_path, monkeypatch):
    """The order that a power cut asks for."""
    disk = PowerCut(monkeypatch)
    write_text(tmp_path / "gate.json", "{}")
    assert disk.steps == STEPS


@pytest.mark.parametrize("undo", [True, False])
@pytest.mark.parametrize("before", [0, 1, 2, None])
def test_a_power_cut_at_any_step_leaves_a_whole_file(tmp_path, before, undo):
    """The former content until the call returns, or the new one; the new one afterwards."""
    path = tmp_path / "file"
    path.write_bytes(b"former")
    with pytest.MonkeyPatch.context() as patch:
        disk = PowerCut(patch, before)
        try:
            write_bytes(path, b"new content")
        except PowerFailure:
            pass
        else:
            assert before is None
    disk.settle(undo=undo)

    assert path.read_bytes() in (
        {b"former", b"new content"} if before is not None else {b"new content"}
    )


def test_the_fake_disk_loses_what_was_not_synced(tmp_path):
    """The control: writing and renaming alone leaves an empty file."""
    with pytest.MonkeyPatch.context() as patch:
        disk = PowerCut(patch)
        (tmp_path / "part").write_bytes(b"content")
        (tmp_path / "part").replace(tmp_path / "file")
    disk.settle(undo=False)
    assert (tmp_path / "file").read_bytes() == b""


def test_folders_that_are_made_survive_with_the_file(tmp_path, monkeypatch):
    """Each new folder is synced into the one above it."""
    disk = PowerCut(monkeypatch)
    write_text(tmp_path / "a" / "b" / "file", "x")
    assert disk.steps == ["fsync folder", "fsync folder", *STEPS]
    make_folder(tmp_path / "a" / "b")
    assert len(disk.steps) == 5


def test_a_folder_gets_its_name_when_its_files_are_on_the_disk(tmp_path):
    """A snapshot, an adapter or a base is never listed with empty files."""
    work = tmp_path / "work"
    (work / "inner").mkdir(parents=True)
    for name in ("one", "inner/two"):
        (work / name).write_bytes(b"content")
    with pytest.MonkeyPatch.context() as patch:
        disk = PowerCut(patch)
        place(work, tmp_path / "target")
    disk.settle(undo=False)

    assert (tmp_path / "target" / "inner" / "two").read_bytes() == b"content"
    assert disk.steps.index("replace") == 4
    assert disk.steps[-1] == "fsync folder"


def test_of_two_folders_with_one_name_the_first_stays(tmp_path):
    """The other process sees an OSError and takes what is there."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    place(tmp_path / "first", tmp_path / "target")
    with pytest.raises(OSError, match="not empty"):
        place(tmp_path / "second", tmp_path / "target")
    assert (tmp_path / "target" / "file").read_text() == "first"


def test_an_error_while_writing_leaves_the_former_file_and_nothing_else(tmp_path):
    """No remains of a text lie beside the file."""
    path = tmp_path / "file"
    write_text(path, "former")
    with pytest.raises(ZeroDivisionError), writing(path) as file:
        file.write(b"half of it" * (1 // 0))
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "former"


def test_a_private_file_is_for_its_owner_whatever_was_there(tmp_path):
    """Passwords: 0600 from the first moment, under any umask."""
    path = tmp_path / "password"
    path.write_text("old")
    path.chmod(0o644)
    seen = []
    with writing(path, private=True) as file:
        seen += [stat.S_IMODE(os.fstat(file.fileno()).st_mode)]
        file.write(b"new")
    assert [*seen, mode(path)] == [0o600, 0o600]


def test_a_file_that_is_replaced_keeps_its_permissions_and_its_link(tmp_path):
    """A workload file that a group shares, or that lies elsewhere, stays so."""
    real, link = tmp_path / "shared.yaml", tmp_path / "workload.yaml"
    real.write_text("old")
    real.chmod(0o664)
    link.symlink_to(real)
    write_text(link, "new")

    assert link.is_symlink()
    assert (real.read_text(), mode(real)) == ("new", 0o664)


def test_a_new_file_follows_the_umask(tmp_path):
    """What the process may show to others is its own choice."""
    with umask(0o027):
        write_text(tmp_path / "file", "x")
    assert mode(tmp_path / "file") == 0o640


def test_a_file_that_must_be_new_is_never_replaced(tmp_path):
    """An export that holds people's texts: its owner's alone, whole, and never over another."""
    path = tmp_path / "export.jsonl"
    with creating(path) as file:
        file.write(b"line\n")
    assert (path.read_bytes(), mode(path)) == (b"line\n", 0o600)
    with pytest.raises(FileExistsError), creating(path):
        pass
    assert path.read_bytes() == b"line\n"


def test_a_new_file_that_fails_is_removed(tmp_path):
    """The command can be run again with the same name."""
    path = tmp_path / "export.jsonl"
    with pytest.raises(ZeroDivisionError), creating(path) as file:
        file.write(b"half" * (1 // 0))
    assert not path.exists()


def test_json_and_copies(tmp_path):
    """JSON takes the layout of json.dumps; a copy has the bytes of its source."""
    write_json(tmp_path / "a.json", {"b": "ü", "a": 1}, sort_keys=True, ensure_ascii=False)
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{"a": 1, "b": "ü"}'
    copy_file(tmp_path / "a.json", tmp_path / "b.json", private=True)
    assert (tmp_path / "b.json").read_bytes() == (tmp_path / "a.json").read_bytes()
    assert mode(tmp_path / "b.json") == 0o600


def test_without_durability_nothing_is_synced(tmp_path, monkeypatch):
    """Thousands of task files that the lake holds as well cost no sync each."""
    disk = PowerCut(monkeypatch)
    write_text(tmp_path / "new" / "file", "x", durable=False)
    assert disk.steps == ["replace"]

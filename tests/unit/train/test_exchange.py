"""The exchange: what was put in is what comes out, on file systems of different manners."""

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from flywheel.errors import IntegrityError, UnavailableError
from flywheel.train.launch.exchange import Exchange
from tests.fakes.nested_folder import nested_folder


@pytest.fixture(params=["file", "memory", "objects"])
def exchange(request, tmp_path):
    """Return an exchange in a folder, in memory, and in a store without folders or renames."""
    if request.param == "file":
        yield Exchange((tmp_path / "exchange").as_uri())
    elif request.param == "memory":
        yield Exchange("memory://exchange")
        MemoryFileSystem.store.clear()
        MemoryFileSystem.pseudo_dirs[:] = [""]
    else:
        from tests.fakes.object_store import SqliteObjects

        fsspec.register_implementation("objects", SqliteObjects, clobber=True)
        yield Exchange(f"objects://{tmp_path / 'store.db'}/bucket/flywheel")


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a file and a folder in it."""
    return nested_folder(tmp_path)


def test_a_folder_comes_out_as_it_was_put_in(exchange, folder, tmp_path):
    """Names, inner folders and contents."""
    assert not exchange.has_folder("runs/one/data")
    exchange.put_folder(folder, "runs/one/data")
    assert exchange.has_folder("runs/one/data")

    exchange.get_folder("runs/one/data", tmp_path / "out")
    found = {p.relative_to(tmp_path / "out").as_posix(): p.read_bytes()
             for p in (tmp_path / "out").rglob("*") if p.is_file()}  # fmt: skip
    assert found == {"a.txt": b"a", "inner/b.bin": bytes(range(256))}


def test_a_folder_without_its_list_is_not_there(exchange, folder, tmp_path):
    """Whoever was killed while putting it has put nothing."""
    exchange.put_folder(folder, "data")
    exchange.remove("data")
    exchange.write("data/a.txt", b"a")
    assert not exchange.has_folder("data")
    with pytest.raises(IntegrityError, match="no whole data"):
        exchange.get_folder("data", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_changed_file_is_noticed(exchange, folder, tmp_path):
    """Two writers of one folder, or a bad disk: the hash says so, and nothing appears."""
    exchange.put_folder(folder, "data")
    exchange.write("data/inner/b.bin", bytes(256))
    with pytest.raises(IntegrityError, match=r"inner/b\.bin .* is not the file"):
        exchange.get_folder("data", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_half_a_json_file_is_none(exchange):
    """It is read again later."""
    exchange.write("lease.json", b'{"beat":')
    assert exchange.read_json("lease.json") is None
    exchange.write_json("lease.json", {"beat": 1})
    assert exchange.read_json("lease.json") == {"beat": 1}
    assert exchange.read("nothing") is None


def test_names_are_those_of_now(exchange, folder):
    """What another process added or removed is seen."""
    assert exchange.names("runs") == []
    other = Exchange(exchange.url)
    other.put_folder(folder, "runs/one")
    other.put_folder(folder, "runs/two")
    assert exchange.names("runs") == ["one", "two"]
    other.remove("runs/one")
    assert exchange.names("runs") == ["two"]
    exchange.remove("runs/nothing")


def test_a_store_that_is_away_may_come_back(tmp_path):
    """Its errors are told apart from the data's."""
    (tmp_path / "exchange").write_text("no folder")
    exchange = Exchange((tmp_path / "exchange").as_uri())
    with pytest.raises(UnavailableError, match="FLYWHEEL_TRAIN_EXCHANGE"):
        exchange.write("a/b", b"c")

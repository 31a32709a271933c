"""The spool keeps every record it confirmed, refuses what does not fit, and blocks on none."""

import threading

import pytest

from flywheel.errors import StorageError, UnavailableError
from flywheel.gateway.spool import Record, Spool
from tests.fakes.small_disk import small_disk_at


def record(number, size=10):
    return Record("topic", str(number).encode(), bytes(size))


@pytest.fixture
def open_spool(tmp_path):
    """Return a function that opens the spool; what it opened is closed at the end."""
    spools = []

    def opened(capacity=10_000, folder=tmp_path):
        spools.append(Spool(folder / "spool.db", capacity_bytes=capacity))
        return spools[-1]

    yield opened
    for spool in spools:
        spool.close()


def test_confirmed_records_are_there_after_a_restart(open_spool):
    """Oldest first, with their topic, key and bytes."""
    first = open_spool()
    for number in range(3):
        first.keep([record(number)]).result(timeout=5)
    again = open_spool()
    assert [(r.topic, r.key, r.value) for r in again.oldest(10)] == [
        ("topic", str(number).encode(), bytes(10)) for number in range(3)
    ]
    assert (again.depth, again.bytes) == (3, 30)


def test_forgotten_records_leave_and_make_room(open_spool):
    """A full spool refuses a record, and takes it once another left."""
    spool = open_spool(capacity=25)
    spool.keep([record(1), record(2)]).result(timeout=5)
    with pytest.raises(UnavailableError, match="20 bytes"):
        spool.keep([record(3)]).result(timeout=5)
    spool.forget(spool.oldest(1))
    spool.keep([record(3)]).result(timeout=5)
    assert [r.key for r in spool.oldest(10)] == [b"2", b"3"]
    assert (spool.depth, spool.bytes) == (2, 20)


def test_records_of_many_threads_all_land(open_spool):
    """Each caller is confirmed, and each record is there once."""
    spool = open_spool()

    def keep(start):
        for number in range(start, start + 50):
            spool.keep([record(number)]).result(timeout=30)

    threads = [threading.Thread(target=keep, args=(start,)) for start in range(0, 200, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(r.key) for r in spool.oldest(1000)) == list(range(200))


def test_a_refused_record_is_kept_and_blocks_no_other(open_spool):
    """It leaves the queue, and is counted after a restart too."""
    spool = open_spool()
    spool.keep([record(1), record(2)]).result(timeout=5)
    spool.set_aside(spool.oldest(1)[0], "too large")
    assert [r.key for r in spool.oldest(10)] == [b"2"]
    assert (spool.depth, spool.refused) == (1, 1)
    assert open_spool().refused == 1


def test_a_full_disk_fails_the_record_and_recovers(open_spool, tmp_path):
    """What is not on disk is not confirmed; with room again, the next record is."""
    with small_disk_at(tmp_path / "disk", 400_000) as folder:
        spool = open_spool(capacity=10**9, folder=folder)
        ballast = folder / "ballast"
        ballast.write_bytes(bytes(250_000))
        with pytest.raises(StorageError, match="cannot be written"):
            spool.keep([record(1, size=200_000)]).result(timeout=10)
        assert spool.failure is not None
        assert (spool.depth, spool.bytes) == (0, 0)
        ballast.unlink()
        spool.keep([record(2)]).result(timeout=10)
        assert spool.failure is None
        assert [r.key for r in spool.oldest(10)] == [b"2"]
        spool.close()


def test_a_damaged_file_is_an_error_that_names_it(open_spool, tmp_path):
    """Nothing starts on a file that is no spool."""
    (tmp_path / "spool.db").write_bytes(b"no database" * 100)
    with pytest.raises(StorageError, match=r"spool\.db"):
        open_spool()

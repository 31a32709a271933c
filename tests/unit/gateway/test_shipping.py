"""The shipper moves every record to the log, however often the log fails."""

import pytest

from flywheel.errors import DataError, UnavailableError
from flywheel.gateway.shipping import Shipper
from flywheel.gateway.spool import Record, Spool
from tests.fakes.waiting import wait_until


class Log:
    """Append to a list; ``error`` is raised instead, a value of 100 bytes is too large."""

    def __init__(self) -> None:
        self.records, self.error = [], None

    def append(self, topic, records):
        """Take records, all or none."""
        if self.error is not None:
            raise self.error
        if any(len(value) >= 100 for _, value in records):
            raise DataError("100 bytes are too large")
        self.records += [(topic, key) for key, _ in records]


@pytest.fixture
def spool(tmp_path):
    """Return a spool with two topics in it."""
    spool = Spool(tmp_path / "spool.db", capacity_bytes=10_000)
    records = [Record(f"t{number % 2}", str(number).encode(), b"x") for number in range(4)]
    spool.keep(records).result(timeout=5)
    yield spool
    spool.close()


def test_records_leave_once_the_log_has_them(spool):
    """Each goes to its topic, in order."""
    log = Log()
    assert Shipper(spool, log).ship() == 4
    assert log.records == [("t0", b"0"), ("t0", b"2"), ("t1", b"1"), ("t1", b"3")]
    assert spool.depth == 0
    assert Shipper(spool, log).ship() == 0


def test_what_the_log_refuses_for_now_stays(spool):
    """Nothing leaves the spool while the log is away; the thread sends it afterwards."""
    log = Log()
    log.error = UnavailableError("away")
    shipper = Shipper(spool, log)
    shipper.start()
    wait_until(lambda: shipper.failure == "away")
    assert spool.depth == 4
    log.error = None
    wait_until(lambda: spool.depth == 0)
    shipper.close()
    assert len(log.records) == 4
    assert shipper.failure is None


def test_a_record_that_the_log_will_never_take_is_set_aside(spool):
    """The others go."""
    spool.keep([Record("t0", b"large", bytes(100))]).result(timeout=5)
    log = Log()
    Shipper(spool, log).ship()
    assert (spool.depth, spool.refused) == (0, 1)
    assert len(log.records) == 4


def test_a_shipper_that_stops_sends_what_waits(spool):
    """A process that is scaled away leaves nothing behind, unless the log is away."""
    log = Log()
    Shipper(spool, log).close()
    assert (len(log.records), spool.depth) == (4, 0)


def test_a_shipper_that_stops_waits_for_no_log(spool):
    """What cannot be sent stays on the disk, and the stop is not held up."""
    log = Log()
    log.error = UnavailableError("away")
    Shipper(spool, log).close()
    assert (len(log.records), spool.depth) == (0, 4)


def test_an_empty_spool_is_not_opened(spool, monkeypatch):
    """A gateway that nobody asks reads nothing five times a second."""
    shipper = Shipper(spool, Log())
    shipper.ship()
    monkeypatch.setattr(spool, "oldest", lambda _: pytest.fail("the file was read"))
    assert shipper.ship() == 0

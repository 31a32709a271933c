"""Several gateway processes on one home: places of their own, and what a dead one left."""

import threading
from datetime import timedelta

from flywheel.clock import ManualClock
from flywheel.errors import UnavailableError
from flywheel.gateway.left_spools import SPOOL_FILE, LeftSpools, claim_place
from flywheel.gateway.rations import DailyRation
from flywheel.gateway.spool import Record, Spool
from tests.fakes import micro_base
from tests.fakes.gateway_world import NOW
from tests.fakes.waiting import wait_until

_ROOM = 1_000_000


class Log:
    """A log that may be away."""

    def __init__(self) -> None:
        self.is_away = False
        self.records: list[bytes] = []

    def append(self, topic, records):  # noqa: ARG002 - the port's signature
        """Take records."""
        if self.is_away:
            raise UnavailableError("The log is away.")
        self.records += [value for _, value in records]


def leave(folder, *values):
    """Leave what a killed process would."""
    spool = Spool(folder / SPOOL_FILE, capacity_bytes=_ROOM)
    spool.keep([Record("t", value, value) for value in values]).result()
    spool.close()


def test_each_process_has_a_place_of_its_own(tmp_path):
    """The first that is free; one that is given back is taken again."""
    with claim_place(tmp_path) as first:
        with claim_place(tmp_path) as second:
            assert (first, second) == (tmp_path, tmp_path / "process-2")
        with claim_place(tmp_path) as again:
            assert again == second
    with claim_place(tmp_path) as after:
        assert after == first


def test_what_ended_processes_left_is_sent_once(tmp_path):
    """The spool of a process that runs is left alone."""
    log = Log()
    with claim_place(tmp_path) as own:
        leave(own, b"mine")
        leave(tmp_path / "process-2", b"a", b"b")
        left = LeftSpools(tmp_path, log, capacity_bytes=_ROOM)
        assert (left.send(), left.send()) == (2, 0)
    assert log.records == [b"a", b"b"]


def test_what_is_left_waits_for_a_log_that_is_away(tmp_path):
    """It stays in its spool, and the reason is known meanwhile."""
    log = Log()
    log.is_away = True
    leave(tmp_path, b"a")
    left = LeftSpools(tmp_path, log, capacity_bytes=_ROOM)
    left.start()
    wait_until(lambda: left.failure == "The log is away.")
    log.is_away = False
    wait_until(lambda: log.records == [b"a"])
    left.close()


def test_processes_share_a_days_ration(tmp_path):
    """What one takes is gone for the other, also at the same time; a new day brings a new one."""
    clock, workload = ManualClock(NOW), micro_base.classification()
    both = [DailyRation(tmp_path / "r.json", lambda _: 40, clock) for _ in range(2)]
    taken = []
    threads = [
        threading.Thread(target=lambda one=one: taken.extend(one.take(workload) for _ in range(30)))
        for one in both
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(taken), sum(taken)) == (60, 40)
    assert [one.left(workload) for one in both] == [0, 0]
    clock.move_to(NOW + timedelta(days=1))
    assert both[0].take(workload)
    assert both[1].left(workload) == 39

"""A time limit that counts less of the time in which the machine was busy."""

import pytest

from flywheel.io import patience
from flywheel.io.patience import Patience


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Return a function that lets wall seconds pass, so many of them with a process waiting."""
    pressure = tmp_path / "cpu"
    clock = {"now": 100.0, "stalled": 7.0}

    def write() -> None:
        total = round(clock["stalled"] * 1e6)
        pressure.write_text(f"some avg10=9.12 avg60=8.50 avg300=4.39 total={total}\nfull total=0\n")

    def let_pass(seconds: float, stalled: float) -> None:
        clock["now"] += seconds
        clock["stalled"] += stalled
        write()

    write()
    monkeypatch.setattr(patience, "_PRESSURE", pressure)
    monkeypatch.setattr(patience.time, "monotonic", lambda: clock["now"])
    return let_pass


def test_every_second_of_a_quiet_machine_counts(machine):
    """Nobody waited for a processor: the limit is that of the clock."""
    limit = Patience(10)
    machine(9.9, 0)
    assert not limit.is_over
    machine(0.1, 0)
    assert limit.is_over


def test_seconds_in_which_processes_had_to_wait_count_less(machine):
    """Half of the time was taken by others: twice the time is given."""
    limit = Patience(10)
    machine(10, 5)
    assert limit.spent == pytest.approx(5)
    machine(10, 5)
    assert limit.is_over


def test_a_machine_that_is_always_busy_comes_to_the_end_of_the_limit(machine):
    """Five times as late, but it comes: a wait for what never happens must end."""
    limit = Patience(10)
    machine(49, 49)
    assert not limit.is_over
    machine(1, 1)
    assert limit.is_over


def test_a_kernel_that_does_not_report_pressure_counts_every_second(monkeypatch, tmp_path, machine):
    """There is nothing to subtract."""
    monkeypatch.setattr(patience, "_PRESSURE", tmp_path / "absent")
    limit = Patience(10)
    machine(10, 10)
    assert limit.is_over

"""Leases: one holder, growing tokens, and latecomers that are found out."""

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from flywheel.errors import ConcurrencyError, UnavailableError
from flywheel.state import leases, process_holder


def test_lease_is_held_by_one(state):
    """A second holder is refused until the first gives it back."""
    with (
        state.leases.hold("champion:w", "one", 60),
        pytest.raises(ConcurrencyError, match="held by one"),
    ):
        state.leases.acquire("champion:w", "two", 60)
    assert state.leases.acquire("champion:w", "two", 60).token == 2


def test_expired_lease_is_taken_over_and_the_late_holder_is_fenced(state, clock):
    """The token of the old holder no longer counts, and giving it back changes nothing."""
    old = state.leases.acquire("x", "one", 60)
    clock.move_to(clock.now() + timedelta(seconds=61))
    new = state.leases.acquire("x", "two", 60)
    assert new.token > old.token
    with pytest.raises(ConcurrencyError, match="lost"):
        state.leases.check(old)
    with pytest.raises(ConcurrencyError, match="lost"):
        state.leases.renew(old)
    state.leases.release(old)
    state.leases.check(new)


def test_lease_is_free_from_the_moment_at_which_it_expires(state, clock):
    """A lease of 60 seconds is held for 60 seconds: refused before the end, taken over at it."""
    lease = state.leases.acquire("x", "one", 60)
    clock.move_to(lease.expires_at - timedelta(seconds=1))
    with pytest.raises(ConcurrencyError, match="held by one"):
        state.leases.acquire("x", "two", 60)
    clock.move_to(lease.expires_at)
    assert state.leases.acquire("x", "two", 60).holder == "two"


def test_renewed_lease_lasts_longer(state, clock):
    """A holder that is still at work keeps its lease."""
    lease = state.leases.acquire("x", "one", 60)
    clock.move_to(clock.now() + timedelta(seconds=50))
    renewed = state.leases.renew(lease, 60)
    assert renewed == replace(lease, expires_at=clock.now() + timedelta(seconds=60))
    clock.move_to(clock.now() + timedelta(seconds=50))
    with pytest.raises(ConcurrencyError):
        state.leases.acquire("x", "two", 60)


def test_lease_of_a_dead_process_is_taken_over_at_once(state):
    """A process of this machine that ended holds nothing, however long its lease was to last."""
    machine, pid, _ = process_holder().rsplit("/", 2)
    ended = subprocess.run([sys.executable, "-c", ""], check=True)
    assert ended.returncode == 0
    reused = f"{machine}/{pid}/1"  # this process's id, but started at another time
    state.leases.acquire("x", reused, 3600)
    assert state.leases.acquire("x", "two", 60).token == 2


def test_process_keeps_its_name_while_it_works():
    """What it holds stays its own, however much memory or time it has taken since."""
    name = process_holder()
    ballast = bytearray(64 * 2**20)
    assert process_holder() == name
    assert len(ballast) == 64 * 2**20
    assert name.rpartition("/")[2].isdigit() == Path("/proc/self/stat").exists()


def test_lease_of_a_living_process_or_another_machine_is_kept(state):
    """What cannot be known to be dead is left its time."""
    for name, holder in (("a", process_holder()), ("b", "other~pid:[1]/1/1"), ("c", "1/2/3")):
        state.leases.acquire(name, holder, 3600)
        with pytest.raises(ConcurrencyError):
            state.leases.acquire(name, "two", 60)


def test_lease_that_could_not_be_given_back_is_taken_again(state, monkeypatch):
    """The work ends well, and this process does not keep itself out afterwards."""

    def away() -> None:
        raise UnavailableError("the database is away")

    with monkeypatch.context() as patch, state.leases.hold("x", None, 3600) as old:
        patch.setattr(state._database, "write", away)
        with pytest.raises(UnavailableError):
            state.audit.append("e", "s", "a")
    with state.leases.hold("x", None, 3600) as new:
        assert new.token == old.token + 1
        with pytest.raises(ConcurrencyError, match="lost"):
            state.leases.check(old)
        with pytest.raises(ConcurrencyError, match="held by"):
            state.leases.acquire("x", None, 60)


def test_process_without_a_known_start_is_not_declared_dead(monkeypatch):
    """Where the system tells no start times, leases only expire."""
    monkeypatch.setattr(leases, "_started", lambda _: "unknown")
    assert not leases._is_dead(process_holder())


def test_switching_the_champion_needs_the_newest_lease(state, clock):
    """Route and fence are checked in one transaction."""
    old = state.leases.acquire("x", "one", 1)
    clock.move_to(clock.now() + timedelta(seconds=2))
    new = state.leases.acquire("x", "two", 60)
    with pytest.raises(ConcurrencyError):
        state.routes.switch_champion("w", expected="base", release="r1", reason="", lease=old)
    assert state.routes.champion("w") == "base"
    state.routes.switch_champion("w", expected="base", release="r1", reason="", lease=new)
    with pytest.raises(Exception, match="is r1, not base"):
        state.routes.switch_champion("w", expected="base", release="r2", reason="", lease=new)
    assert [(route.route, route.release) for route in state.routes.of("w")] == [("champion", "r1")]

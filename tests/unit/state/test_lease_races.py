"""The loser of a race for a lease: it holds nothing, says so, and leaves the winner's alone."""

import threading
from datetime import timedelta

import pytest

from flywheel.errors import ConcurrencyError
from flywheel.state import leases as module
from flywheel.state.database import Database
from flywheel.state.leases import Leases
from flywheel.state.schema import metadata

_SECONDS = 60.0


@pytest.fixture
def database(tmp_path):
    """Return an empty database with the table of leases."""
    opened = Database(f"sqlite:///{tmp_path / 'state.db'}")
    with opened.write() as connection:
        metadata.create_all(connection)
    yield opened
    opened.close()


@pytest.fixture
def ours(database, clock):
    """Return the leases as this process sees them."""
    return Leases(database, clock)


def test_a_rival_that_takes_an_expired_lease_first_wins(ours, database, clock, monkeypatch):
    """Between the look at the row and the write somebody else took it: the token has moved on."""
    expired = ours.acquire("promote:reports", "machine/1/1", _SECONDS)
    clock.move_to(clock.now() + timedelta(seconds=_SECONDS + 1))
    rival = Leases(database, clock)
    rivals, is_held = [], module.is_held

    def race(*row):
        if not rivals:
            rivals.append(None)  # its own look must not race again
            rivals[0] = rival.acquire("promote:reports", "machine/2/2", _SECONDS)
        return is_held(*row)

    monkeypatch.setattr(module, "is_held", race)
    with pytest.raises(ConcurrencyError, match="Another process took the lease"):
        ours.acquire("promote:reports", "machine/3/3", _SECONDS)
    assert rivals[0].token == expired.token + 1


def test_of_many_that_ask_at_once_one_holds_the_lease(database, clock):
    """The others are refused, name the holder, and a refusal takes nothing from it."""
    count, start = 6, threading.Barrier(6)
    held, refused = [], []

    def ask(number):
        mine = Leases(database, clock)
        start.wait()
        try:
            held.append(mine.acquire("cycle-steps:reports", f"machine/{number}/1", _SECONDS))
        except ConcurrencyError as error:
            refused.append(error.message)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [lease] = held
    assert lease.token == 1
    assert len(refused) == count - 1
    assert all(f"is held by {lease.holder}" in message for message in refused)
    Leases(database, clock).check(lease)


def test_who_lost_a_lease_can_neither_renew_nor_give_it_back(ours, database, clock):
    """A process that was frozen past its time finds out, and the new holder keeps the lease."""
    lost = ours.acquire("promote:reports", "machine/1/1", _SECONDS)
    clock.move_to(clock.now() + timedelta(seconds=_SECONDS + 1))
    taken = Leases(database, clock).acquire("promote:reports", "machine/2/2", _SECONDS)
    for use in (ours.check, ours.renew):
        with pytest.raises(ConcurrencyError, match="another process took it over"):
            use(lost)
    ours.release(lost)
    ours.check(taken)
    with pytest.raises(ConcurrencyError, match=r"is held by machine/2/2"):
        ours.acquire("promote:reports", "machine/3/3", _SECONDS)

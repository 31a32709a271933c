"""A deployment has one daemon of Dagster's, wherever a second one is started."""

import threading

import pytest

from flywheel.errors import ConcurrencyError
from flywheel.settings import Settings
from flywheel.usecases import one_daemon as module
from flywheel.usecases.one_daemon import DAEMON_LEASE, one_daemon
from flywheel.wiring import Platform


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_POLL_SECONDS", 0.01)
    return Settings(home=tmp_path)


@pytest.fixture
def state(settings):
    platform = Platform(settings)
    yield platform.state
    platform.close()


def test_a_second_daemon_is_refused_while_the_first_renews(settings, capsys):
    """The message names the one that runs; once it has stopped, another one starts at once."""
    with one_daemon(settings, seconds=0.3, renew_seconds=0.05):
        with (
            pytest.raises(ConcurrencyError, match=r"Another daemon of Dagster's runs.*held by"),
            one_daemon(settings, seconds=0.3, renew_seconds=0.05),
        ):
            pass
        assert "Waits for another daemon" in capsys.readouterr().err
    with one_daemon(settings):
        assert "Waits" not in capsys.readouterr().err


def test_the_lease_of_a_machine_that_is_gone_is_waited_for(settings, state):
    """A new pod takes over when the time of the lost one is over."""
    state.leases.acquire(DAEMON_LEASE, "pod-7/12/99", 0.2)

    with one_daemon(settings, seconds=0.5, renew_seconds=0.1), pytest.raises(ConcurrencyError):
        state.leases.acquire(DAEMON_LEASE, "pod-8/12/99")


def test_a_daemon_that_was_frozen_stops_when_another_has_taken_over(settings, state):
    """Two would both tick."""
    stopped = threading.Event()
    with one_daemon(settings, seconds=0.05, renew_seconds=0.2, stop=stopped.set):
        assert not stopped.wait(0.1)  # no renewal yet: as if it were frozen
        state.leases.acquire(DAEMON_LEASE, "pod-8/12/99", 60.0)
        assert stopped.wait(10)

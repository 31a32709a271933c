"""Several processes on one state: one winner, one chain, and latecomers that are found out."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flywheel.clock import SystemClock
from flywheel.errors import ConcurrencyError
from flywheel.io.patience import Patience
from flywheel.state import State

_PROGRAM = Path(__file__).with_name("state_process.py")


@contextmanager
def process(repository: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a job that says ``ready`` and waits."""
    started = subprocess.Popen(
        [sys.executable, str(_PROGRAM), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(repository)},
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def await_ready(*processes: subprocess.Popen[str]) -> None:
    for one in processes:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"


def race(repository: Path, job: str, url: str, *names: str) -> list[int]:
    """Let one process per name start at the same moment, and return what they counted."""
    with (
        process(repository, job, url, names[0]) as one,
        process(repository, job, url, names[1]) as two,
    ):
        await_ready(one, two)
        for racer in (one, two):
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        return [int(racer.communicate(timeout=120)[0]) for racer in (one, two)]


@pytest.fixture
def living(url) -> Iterator[State]:
    """Return a state on the machine's clock, as the processes have it."""
    state = State.open(url, SystemClock())
    yield state
    state.close()


def test_racing_processes_share_leases(living, url, repository):
    """Of two processes exactly one gets each lease, and their audit rows form one chain."""
    counts = race(repository, "leases", url, "one", "two")
    assert sum(counts) == 40
    assert len({row.subject for row in living.audit.of()}) == 40
    assert living.audit.verify()[0] == 40


def test_racing_triggers_open_one_cycle(living, url, repository):
    """Two processes with different triggers open one cycle per workload between them."""
    assert sum(race(repository, "cycles", url, "drift", "volume")) == 25
    assert len(living.cycles.list_open()) == 25
    living.audit.verify()


def test_same_trigger_in_two_processes_opens_one_cycle(living, url, repository):
    """Both are told that their cycle is open, and it is the same one."""
    assert race(repository, "cycles", url, "calendar", "calendar") == [25, 25]
    assert len(living.cycles.list_open()) == 25
    assert [row.event for row in living.audit.of()] == ["cycle.opened"] * 25


def test_concurrent_appends_form_one_chain(living, url, repository):
    """Nobody extends the row that another one has extended, and nobody has to try again."""
    race(repository, "chain", url, "one", "two")
    assert living.audit.verify()[0] == 100
    assert [len(living.decisions.of(name)) for name in ("one", "two")] == [50, 50]


def test_two_processes_bring_one_database_to_the_schema(url, repository, clock):
    """The second one waits, and finds the work done."""
    assert race(repository, "opening", url, "one", "two") == [1, 1]
    state = State.open(url, clock)
    assert state.audit.verify() == (0, "0" * 64)
    state.close()


def test_stopped_holder_is_fenced_when_it_comes_back(living, url, repository):
    """A process that was frozen beyond its lease cannot write with the old token."""
    with process(repository, "late", url, "r-late") as holder:
        await_ready(holder)
        holder.send_signal(signal.SIGSTOP)
        lease = _acquire_when_expired(living, "champion:w")
        holder.send_signal(signal.SIGCONT)
        said, _ = holder.communicate("go\n", timeout=60)
        assert said.strip() == "ConcurrencyError"
    assert living.routes.champion("w") == "base"
    living.routes.switch_champion("w", expected="base", release="r-new", reason="", lease=lease)
    assert living.routes.champion("w") == "r-new"
    assert lease.token == 2


def test_stopped_holder_that_nobody_replaced_may_go_on(living, url, repository):
    """An expired lease that is still the newest protects all the same."""
    with process(repository, "late", url, "r-late") as holder:
        await_ready(holder)
        said, _ = holder.communicate("go\n", timeout=60)
        assert said.strip() == "switched"
    assert living.routes.champion("w") == "r-late"


@pytest.mark.services
def test_process_frozen_in_a_transaction_is_cut_off(postgres_url, repository):
    """The server ends its transaction, the next writer goes on, and nothing is half."""
    state = State.open(postgres_url, SystemClock())
    with process(repository, "frozen", postgres_url, "") as half:
        await_ready(half)
        half.send_signal(signal.SIGSTOP)
        state.audit.append("mine", "x", "other", {})
        half.send_signal(signal.SIGCONT)
        said, _ = half.communicate("go\n", timeout=60)
        assert said.strip() == "UnavailableError"
    assert [row.event for row in state.audit.of()] == ["mine"]
    assert state.audit.verify()[0] == 1
    state.close()


def _acquire_when_expired(state: State, name: str):
    patience = Patience(30)
    while True:
        try:
            return state.leases.acquire(name)
        except ConcurrencyError:
            assert not patience.is_over
            time.sleep(0.1)

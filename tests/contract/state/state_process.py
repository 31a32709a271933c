"""What the tests of the state run in processes of their own: `python state_process.py JOB URL ...`.

Every job says ``ready``, waits for a line on its input, and prints what came of it.
"""

import sys
from datetime import UTC, datetime

from flywheel.clock import ManualClock, SystemClock
from flywheel.errors import ConcurrencyError, FlywheelError, RefusedError
from flywheel.state import State, database
from tests.fakes.defect_workload import make_workload

_START = datetime(2026, 4, 1, tzinfo=UTC)


def say(what: object) -> None:
    """Write one line to whoever started this."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def ready() -> None:
    """Tell that everything is loaded, and wait for the word to go on."""
    say("ready")
    sys.stdin.readline()


def leases(url: str, name: str) -> None:
    """Take as many of forty leases as the other one leaves."""
    state = State.open(url, ManualClock(_START))
    ready()
    won = 0
    for number in range(40):
        try:
            lease = state.leases.acquire(f"race:{number}", name, 3600)
        except ConcurrencyError:
            continue
        won += 1
        state.audit.append("won", f"race:{number}", name, {"token": lease.token})
    say(won)


def cycles(url: str, trigger: str) -> None:
    """Open a cycle of each of 25 workloads, unless one is open."""
    state = State.open(url, ManualClock(_START))
    ready()
    opened = 0
    for number in range(25):
        workload = make_workload(f"w{number}")
        told = {"opened_by": "system", "reason": "race", "snapshot": {}}
        try:
            state.cycles.open(workload, trigger=trigger, watermark=_START, **told)
            opened += 1
        except (RefusedError, ConcurrencyError):
            continue
    say(opened)


def chain(url: str, name: str) -> None:
    """Add fifty rows to the audit, each with a decision in one transaction."""
    state = State.open(url, ManualClock(_START))
    ready()
    for number in range(50):
        with state.transaction():
            state.audit.append("race", name, name, {"number": number})
            state.decisions.record(name, opens=False, reason=str(number), numbers={})
    say(50)


def opening(url: str, _: str) -> None:
    """Bring an empty database to the newest schema."""
    ready()
    State.open(url, SystemClock()).close()
    say(1)


def late(url: str, release: str) -> None:
    """Take a lease of a second, sleep through its end, and switch the champion all the same."""
    state = State.open(url, SystemClock())
    lease = state.leases.acquire("champion:w", None, 1.0)
    ready()
    try:
        state.routes.switch_champion(
            "w", expected="base", release=release, reason="late", lease=lease
        )
        say("switched")
    except FlywheelError as error:
        say(type(error).__name__)


def frozen(url: str, _: str) -> None:
    """Write half a transaction, and the other half after the word to go on."""
    database._FROZEN_SECONDS = 2  # the server's patience, shorter for the test
    state = State.open(url, SystemClock())
    try:
        with state.transaction():
            state.audit.append("half", "x", "frozen", {})
            ready()
            state.audit.append("whole", "x", "frozen", {})
        say("committed")
    except FlywheelError as error:
        say(type(error).__name__)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])

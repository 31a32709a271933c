"""`one_daemon`: at most one daemon of Dagster's for a deployment, by a lease in its state."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from flywheel.errors import ConcurrencyError
from flywheel.io.patience import Deadline, poll
from flywheel.settings import Settings
from flywheel.state.kept_lease import keep_lease
from flywheel.wiring import Platform

__all__ = ["DAEMON_LEASE", "one_daemon"]

DAEMON_LEASE = "dagster-daemon"
_SECONDS, _RENEW_SECONDS = 60.0, 15.0
_POLL_SECONDS = 1.0


@contextmanager
def one_daemon(
    settings: Settings,
    *,
    seconds: float = _SECONDS,
    renew_seconds: float = _RENEW_SECONDS,
    stop: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGTERM),
) -> Iterator[None]:
    """Hold the lease of the daemon during the block.

    Of a daemon that died on another machine, it is waited for until its time is over.

    Args:
        settings: where the state is.
        seconds: for which it is held without a renewal.
        renew_seconds: between two renewals.
        stop: called when another daemon has taken it from this one, which was frozen; the default
            ends this process as a supervisor does.

    Raises:
        ConcurrencyError: another daemon runs.
    """

    def lost(error: ConcurrencyError) -> None:
        _say(f"This daemon of Dagster's stops: {error}")
        stop()

    platform = Platform(settings)
    try:
        with ExitStack() as stack:
            refused: list[ConcurrencyError] = []

            def take() -> bool:
                try:
                    lease = keep_lease(
                        platform.state.leases,
                        DAEMON_LEASE,
                        seconds=seconds,
                        renew_seconds=renew_seconds,
                        on_lost=lost,
                    )
                    stack.enter_context(lease)
                except ConcurrencyError as error:
                    if not refused:
                        _say(f"Waits for another daemon of Dagster's: {error.message}")
                    refused.append(error)
                    return False
                return True

            if not poll(take, Deadline(seconds + renew_seconds), pause=_POLL_SECONDS):
                raise ConcurrencyError(
                    f"Another daemon of Dagster's runs for this deployment: {refused[-1].message}",
                    next_step="stop it first, or let it be the only one",
                ) from refused[-1]
            yield
    finally:
        platform.close()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the log of the program

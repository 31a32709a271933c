"""`keep_lease`: a lease that is renewed for as long as a block of work takes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flywheel.errors import ConcurrencyError, UnavailableError
from flywheel.state.leases import Lease, Leases

__all__ = ["keep_lease"]


@contextmanager
def keep_lease(
    leases: Leases,
    name: str,
    *,
    seconds: float = 120.0,
    renew_seconds: float = 30.0,
    on_lost: Callable[[ConcurrencyError], None] = lambda _: None,
) -> Iterator[Lease]:
    """Hold a lease during the block, renewed by a thread, and release it at its end.

    Args:
        leases: the table.
        name: of the lease.
        seconds: after which another process takes it from one that died on another machine.
        renew_seconds: between two renewals.
        on_lost: called, in the thread, when another process has taken it: this one was frozen.

    Raises:
        ConcurrencyError: another process holds it.
    """
    done = threading.Event()
    with leases.hold(name, None, seconds) as lease:

        def renew() -> None:
            while not done.wait(renew_seconds):
                try:
                    leases.renew(lease, seconds)
                except UnavailableError:
                    continue  # the next try may reach the database, which nobody else reaches now
                except ConcurrencyError as error:
                    on_lost(error)
                    return

        renewing = threading.Thread(target=renew, name=f"lease {name}", daemon=True)
        renewing.start()
        try:
            yield lease
        finally:
            done.set()
            renewing.join()

"""Turn Flywheel's errors into Dagster's outcomes: transient ones retry, terminal ones fail."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from flywheel.errors import TerminalError, TransientError

__all__ = ["dagster_outcomes"]

_RETRIES = 3
_WAIT_SECONDS = 10.0


@contextmanager
def dagster_outcomes() -> Iterator[None]:
    """Map every FlywheelError raised inside to a retry or a failure that says what to do."""
    try:
        yield
    except TransientError as error:
        raise dg.RetryRequested(max_retries=_RETRIES, seconds_to_wait=_WAIT_SECONDS) from error
    except TerminalError as error:
        facts = {name: dg.MetadataValue.text(str(value)) for name, value in error.facts.items()}
        raise dg.Failure(
            # With the next step: a page that shows one line of a failure shows this one.
            description=str(error),
            metadata={
                "error": type(error).__name__,
                "next step": error.next_step or "see the message",
                **facts,
            },
            allow_retries=False,
        ) from error

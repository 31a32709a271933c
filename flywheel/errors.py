"""Every error that Flywheel raises.

    FlywheelError
    ├── TransientError              may pass: try again
    │   ├── UnavailableError        a service or file system did not answer
    │   │   └── HttpError           an HTTP call got no answer, or not the expected one
    │   ├── ConcurrencyError        another process holds the lease or won the race
    │   └── InterruptedWorkError    the work was cut off and can be resumed
    └── TerminalError               will not pass by itself: a person must act
        ├── ConfigurationError      a setting, flag or workload file is wrong
        │   └── UnservedBaseError   no model server of the settings serves a base model
        ├── EventError              an event breaks the contract (becomes a dead letter)
        ├── LogGapError             the log no longer holds what was not read yet
        ├── StorageError            a table, file or database is not as it should be
        ├── IntegrityError          a hash, manifest or ledger does not add up
        ├── DataError               the data cannot be used for what was asked
        │   ├── TooFewExamplesError
        │   └── LeakageError
        ├── TrainingError           the trainer stopped for good
        │   └── OutOfMemoryError
        ├── MeasurementError        something could not be measured; never a number
        ├── NotFoundError           no such workload, cycle, release or item
        └── RefusedError            a rule forbids it (gate, approval, promotion, rollback)
            └── TrainingNotNeededError  worked examples alone pass the gate

A message says what happened; ``next_step`` says what to do about it; ``facts`` carry the values
for programs. ``orchestration/outcomes.py`` turns a transient error into a retry and a terminal
one into a failed run.
"""

from typing import Any

__all__ = [
    "ConcurrencyError",
    "ConfigurationError",
    "DataError",
    "EventError",
    "FlywheelError",
    "HttpError",
    "IntegrityError",
    "InterruptedWorkError",
    "LeakageError",
    "LogGapError",
    "MeasurementError",
    "NotFoundError",
    "OutOfMemoryError",
    "RefusedError",
    "StorageError",
    "TerminalError",
    "TooFewExamplesError",
    "TrainingError",
    "TrainingNotNeededError",
    "TransientError",
    "UnavailableError",
    "UnservedBaseError",
]


class FlywheelError(Exception):
    """Base of everything that Flywheel raises on purpose."""

    def __init__(self, message: str, *, next_step: str = "", **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.facts = facts

    def __str__(self) -> str:
        return f"{self.message} → {self.next_step}" if self.next_step else self.message


class TransientError(FlywheelError):
    """A failure that may pass: the caller retries."""


class UnavailableError(TransientError):
    """A service or file system did not answer."""


class HttpError(UnavailableError):
    """An HTTP call got no answer (``status`` is None) or not the expected one.

    ``is_broken_off``: the connection ended before the answer did, so that the service may or may
    not have carried out the call.
    """

    def __init__(
        self,
        message: str,
        *,
        next_step: str = "",
        status: int | None = None,
        is_broken_off: bool = False,
        **facts: Any,
    ) -> None:
        super().__init__(message, next_step=next_step, **facts)
        self.status = status
        self.is_broken_off = is_broken_off


class ConcurrencyError(TransientError):
    """Another process holds the lease or won the race."""


class InterruptedWorkError(TransientError):
    """Work was cut off and can be resumed."""


class TerminalError(FlywheelError):
    """A failure that does not pass by itself."""


class ConfigurationError(TerminalError):
    """A setting, flag or workload file is wrong."""


class UnservedBaseError(ConfigurationError):
    """No model server that the settings name serves a base model that is needed."""


class EventError(TerminalError):
    """An event breaks the contract; ``reason`` is its dead-letter reason code."""

    def __init__(self, reason: str, message: str, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.reason = reason


class LogGapError(TerminalError):
    """The log no longer holds records that were not read yet."""


class StorageError(TerminalError):
    """A table, file or database is not as it should be."""


class IntegrityError(TerminalError):
    """A hash, a manifest or the ledger does not add up."""


class DataError(TerminalError):
    """The data cannot be used for what was asked."""


class TooFewExamplesError(DataError):
    """There are fewer good examples than the workload asks for."""


class LeakageError(DataError):
    """Training rows overlap an evaluation set."""


class TrainingError(TerminalError):
    """The trainer stopped for good."""


class OutOfMemoryError(TrainingError):
    """The trainer ran out of memory."""


class MeasurementError(TerminalError):
    """Something could not be measured."""


class NotFoundError(TerminalError):
    """No such workload, cycle, release or item."""


class RefusedError(TerminalError):
    """A rule forbids the step."""


class TrainingNotNeededError(RefusedError):
    """Worked examples alone pass the gate; a person decides whether to train all the same."""

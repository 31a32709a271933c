"""`retried`: an action that is repeated while it fails in a way that may pass, within a bound.

The policies say how often and how soon. The error of the last attempt is raised as it is, with how
many attempts were made.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn, Self, TypeVar

from flywheel.errors import FlywheelError

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["AWAY", "BROKEN_OFF", "BROKER", "CONTENTION", "RetryPolicy", "retried"]

Result = TypeVar("Result")


@dataclass(frozen=True)
class RetryPolicy:
    """When an action is tried again: a bound on attempts, on seconds, or on both.

    Args:
        attempts: most attempts, the first included.
        seconds: no attempt starts later than this after the first one.
        pause: seconds before the second attempt; they double with every further one.
        longest_pause: where the doubling ends.
    """

    attempts: int | None = None
    seconds: float | None = None
    pause: float = 0.0
    longest_pause: float = 1.0

    def __post_init__(self) -> None:
        if self.attempts is None and self.seconds is None:
            raise ValueError("a retry policy needs a bound: attempts, seconds or both")

    def within(self, seconds: float) -> Self:
        """Return the policy with another bound in seconds."""
        return replace(self, seconds=seconds)


# Another writer was quicker: a retry at once starts from what that one has written.
CONTENTION = RetryPolicy(attempts=8)
# A service that restarts.
AWAY = RetryPolicy(seconds=10.0, pause=0.1)
# One broker of a cluster does not answer, another one may.
BROKER = RetryPolicy(attempts=3, pause=0.2, longest_pause=0.2)
# A connection that the other side has closed a moment before it was used again.
BROKEN_OFF = RetryPolicy(attempts=2)


def retried(
    action: Callable[[], Result],
    policy: RetryPolicy,
    when: type[Exception] | tuple[type[Exception], ...] | Callable[[BaseException], bool],
    *,
    before_retry: Callable[[], object] = lambda: None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Result:
    """Return what an action that may be repeated returns in the end.

    Args:
        action: is called again after a failure that may pass.
        policy: bound and pauses.
        when: the errors that may pass, or a function that tells them.
        before_retry: called before each pause.
        sleep: waits so many seconds.
        clock: seconds that never go back.

    Raises:
        BaseException: the first error that does not pass, or the one of the last attempt. Of that,
            a FlywheelError says in its message how many attempts there were, others in a note.
    """
    from tenacity import Retrying, retry_if_exception, wait_exponential

    bound = _Bound(policy, clock)

    def may_pass(error: BaseException) -> bool:
        return isinstance(error, when) if isinstance(when, type | tuple) else when(error)

    def between(_: "RetryCallState") -> None:
        before_retry()

    return Retrying(
        retry=retry_if_exception(may_pass),
        stop=bound.is_reached,
        wait=wait_exponential(multiplier=policy.pause, max=policy.longest_pause),
        sleep=sleep,
        before_sleep=between,
        retry_error_callback=bound.give_up,
    )(action)


class _Bound:
    def __init__(self, policy: RetryPolicy, clock: Callable[[], float]) -> None:
        self._policy, self._clock, self._started = policy, clock, clock()

    def is_reached(self, state: "RetryCallState") -> bool:
        attempts, seconds = self._policy.attempts, self._policy.seconds
        if attempts is not None and state.attempt_number >= attempts:
            return True
        next_at = self._clock() - self._started + state.upcoming_sleep
        return seconds is not None and next_at > seconds

    def give_up(self, state: "RetryCallState") -> NoReturn:
        assert state.outcome is not None
        error = state.outcome.exception()
        assert error is not None
        raise _counted(error, state.attempt_number, self._clock() - self._started)


def _counted(error: BaseException, attempts: int, seconds: float) -> BaseException:
    if attempts > 1:
        count = f"{attempts} attempts in {seconds:.1f} s"
        if isinstance(error, FlywheelError):
            error.message = f"{error.message} ({count})"
            error.facts["attempts"] = attempts
        else:
            error.add_note(count)
    return error

"""What may pass is tried again within a bound; the last error says how often it was tried."""

import pytest

from flywheel.errors import ConcurrencyError, NotFoundError, UnavailableError
from flywheel.io.retry import AWAY, BROKEN_OFF, BROKER, CONTENTION, RetryPolicy, retried


class Time:
    """A clock that only sleeping and acting move."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Move the clock and remember the pause."""
        self.pauses.append(seconds)
        self.now += seconds

    def clock(self) -> float:
        """Return the present second."""
        return self.now


class Action:
    """Fail some times, then return."""

    def __init__(self, failures: int, error: Exception, time: Time | None = None) -> None:
        self.left, self.error, self.calls, self.time = failures, error, 0, time

    def __call__(self) -> str:
        """Count the call."""
        self.calls += 1
        if self.time is not None:
            self.time.now += 1.0
        if self.calls <= self.left:
            raise self.error
        return "done"


def run(action: Action, policy: RetryPolicy, when=UnavailableError, **options: object) -> str:
    """Retry without waiting."""
    time = options.pop("time", None) or Time()
    return retried(action, policy, when, sleep=time.sleep, clock=time.clock, **options)


@pytest.mark.parametrize(("policy", "attempts"), [(CONTENTION, 8), (BROKER, 3), (BROKEN_OFF, 2)])
def test_a_bound_on_attempts_includes_the_first(policy, attempts):
    """One failure fewer is survived; as many are an error that counts them."""
    assert run(Action(attempts - 1, UnavailableError("away")), policy) == "done"
    action = Action(99, UnavailableError("away", next_step="wait"))
    with pytest.raises(UnavailableError) as caught:
        run(action, policy)
    assert action.calls == attempts
    assert f"away ({attempts} attempts in" in caught.value.message
    assert caught.value.next_step == "wait"
    assert caught.value.facts["attempts"] == attempts


def test_pauses_double_up_to_the_longest_and_end_within_the_seconds():
    """No attempt starts after the bound."""
    time = Time()
    with pytest.raises(UnavailableError, match=r"13 attempts in 9\.5 s"):
        run(Action(99, UnavailableError("away")), AWAY, time=time)
    assert time.pauses[:5] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0])
    assert sum(time.pauses) <= 10.0


def test_the_time_of_the_action_counts_too():
    """An action that hangs is not tried again for ever."""
    time = Time()
    action = Action(99, UnavailableError("away"), time)
    with pytest.raises(UnavailableError):
        run(action, RetryPolicy(seconds=3.5, pause=0.1), time=time)
    assert action.calls == 3


def test_no_patience_is_one_attempt_without_a_word_of_it():
    """The error stays as it was."""
    with pytest.raises(UnavailableError) as caught:
        run(Action(99, UnavailableError("away")), AWAY.within(0))
    assert caught.value.message == "away"


def test_what_does_not_pass_is_raised_at_once():
    """Other errors and an interrupt are not tried again."""
    for error in (NotFoundError("no"), KeyboardInterrupt()):
        action = Action(99, error)
        with pytest.raises(type(error)):
            run(action, CONTENTION, (ConcurrencyError, UnavailableError))
        assert action.calls == 1


def test_a_function_tells_what_may_pass_and_another_error_gets_a_note():
    """For errors of libraries."""
    action = Action(99, OSError("locked"))
    with pytest.raises(OSError, match="locked") as caught:
        run(action, BROKER, lambda error: "locked" in str(error))
    assert caught.value.__notes__ == ["3 attempts in 0.4 s"]


def test_something_can_be_mended_before_each_retry():
    """Not after the last attempt."""
    mended = []
    with pytest.raises(UnavailableError):
        run(
            Action(99, UnavailableError("away")), BROKER, before_retry=lambda: mended.append("once")
        )
    assert len(mended) == 2


def test_a_policy_has_a_bound():
    """Nothing is tried for ever."""
    with pytest.raises(ValueError, match="bound"):
        RetryPolicy(pause=1.0)

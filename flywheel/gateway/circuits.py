"""`Circuit` and `CircuitBreaker`: a tier that fails again and again is not asked for a while.

Source: Nygard (2018), Release It!, second edition, chapter 5 (circuit breaker).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from flywheel.workload.tiers import EscalationRules

__all__ = ["CIRCUIT_STATES", "Circuit", "CircuitBreaker", "CircuitState"]

CircuitState = Literal["closed", "half-open", "open"]
CIRCUIT_STATES: tuple[CircuitState, ...] = get_args(CircuitState)


@dataclass(frozen=True)
class Circuit:
    """Failures in a row, and since when the tier is not asked; seconds of one clock.

    ``is_probed`` says that one request tries whether the tier answers again.
    """

    failures: int = 0
    opened_at: float | None = None
    is_probed: bool = False

    def state(self, rules: EscalationRules, now: float) -> CircuitState:
        """Return closed, open, or half-open once the pause is over."""
        if self.opened_at is None:
            return "closed"
        return "open" if now < self.opened_at + rules.pause_seconds else "half-open"

    def admits(self, rules: EscalationRules, now: float) -> bool:
        """Whether the tier may be asked: half-open, by one request at a time."""
        state = self.state(rules, now)
        return state == "closed" or (state == "half-open" and not self.is_probed)

    def asked(self, rules: EscalationRules, now: float) -> "Circuit":
        """Return the circuit after a request was let through."""
        return replace(self, is_probed=True) if self.state(rules, now) == "half-open" else self

    def failed(self, rules: EscalationRules, now: float) -> "Circuit":
        """Return the circuit after a failure: a probe that fails begins the pause again."""
        failures = self.failures + 1
        opens = self.opened_at is not None or failures >= rules.failures
        return Circuit(failures, now if opens else None)


class CircuitBreaker:
    """The circuit of one tier, for the requests of one event loop.

    Args:
        rules: after how many failures it opens, and for how long.
        now: seconds of a clock that never goes back.
    """

    def __init__(self, rules: EscalationRules, now: Callable[[], float] = time.monotonic) -> None:
        self._rules = rules
        self._now = now
        self._circuit = Circuit()

    @property
    def state(self) -> CircuitState:
        """Whether the tier is asked."""
        return self._circuit.state(self._rules, self._now())

    def admit(self) -> bool:
        """Let a request through, and return whether it may ask; one that did reports how it ended."""
        if not self._circuit.admits(self._rules, self._now()):
            return False
        self._circuit = self._circuit.asked(self._rules, self._now())
        return True

    def report_success(self) -> None:
        """Close the circuit: the tier answered."""
        self._circuit = Circuit()

    def report_failure(self) -> None:
        """Count a failure."""
        self._circuit = self._circuit.failed(self._rules, self._now())

    def release(self) -> None:
        """Take a request back that ended without saying whether the tier answers."""
        self._circuit = replace(self._circuit, is_probed=False)

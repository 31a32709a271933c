"""When a request goes on to the next tier, which answer goes out, and circuits: decisions alone."""

import pytest

from flywheel.gateway.circuits import Circuit, CircuitBreaker
from flywheel.gateway.escalation import Outcome, best_outcome, escalation_reason
from flywheel.workload.tiers import EscalationRules

RULES = EscalationRules(below_confidence=0.6, failures=2, pause_seconds=10)
FAILED, INVALID, VALID = Outcome(False), Outcome(True), Outcome(True, is_valid=True)


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (FAILED, "failed"),
        (INVALID, "invalid-answer"),
        (Outcome(True, True, 0.59), "low-confidence"),
        (Outcome(True, True, 0.6), None),
        (Outcome(True, True, None), None),
        (Outcome(True, True, 0.9, is_unfamiliar=True), "unfamiliar-input"),
        (Outcome(True, True, 0.1, is_unfamiliar=True), "low-confidence"),
    ],
)
def test_an_answer_passes_or_says_why_not(outcome, reason):
    """A valid answer that is sure enough, or of which nothing is known, goes out."""
    assert escalation_reason(outcome, RULES) == reason


@pytest.mark.parametrize(
    ("outcomes", "best"),
    [
        ([VALID], 0),
        ([VALID, VALID], 1),
        ([VALID, FAILED], 0),
        ([VALID, INVALID], 0),
        ([INVALID, FAILED], 0),
        ([INVALID, INVALID], 1),
        ([FAILED, FAILED], 1),
    ],
)
def test_the_last_valid_answer_goes_out(outcomes, best):
    """Then the last answer of any kind, then the last failure."""
    assert best_outcome(outcomes) == best


def test_a_circuit_opens_and_lets_one_probe_through():
    """Two failures open it, a pause later one request tries, and what it finds decides."""
    circuit = Circuit().failed(RULES, 0.0)
    assert circuit.state(RULES, 0.0) == "closed"
    circuit = circuit.failed(RULES, 1.0)
    assert (circuit.state(RULES, 10.9), circuit.admits(RULES, 10.9)) == ("open", False)
    assert (circuit.state(RULES, 11.0), circuit.admits(RULES, 11.0)) == ("half-open", True)
    probed = circuit.asked(RULES, 11.0)
    assert not probed.admits(RULES, 11.5)
    assert probed.failed(RULES, 12.0).state(RULES, 21.9) == "open"
    assert probed.failed(RULES, 12.0).admits(RULES, 22.0)


def test_a_probe_that_says_nothing_leaves_the_next_one_to_try():
    """Its client hung up: neither success nor failure."""
    moment = [0.0]
    breaker = CircuitBreaker(RULES, lambda: moment[0])
    for _ in range(2):
        assert breaker.admit()
        breaker.report_failure()
    assert not breaker.admit()
    moment[0] = 10.0
    assert breaker.admit()
    assert not breaker.admit()
    breaker.release()
    assert breaker.admit()
    breaker.report_success()
    assert breaker.state == "closed"
    assert breaker.admit()
    breaker.report_failure()
    assert breaker.state == "closed"  # failures in a row count

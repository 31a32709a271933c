"""`candidate_of`, `gate_of` and `require_pass`: what an attempt left, or a refusal that says what is missing."""

from flywheel.artifacts.gate_file import GateReportRef
from flywheel.artifacts.gate_report import GateReport
from flywheel.artifacts.references import CandidateRef
from flywheel.errors import RefusedError
from flywheel.state import Attempt

__all__ = ["candidate_of", "gate_of", "require_pass"]


def gate_of(attempt: Attempt) -> GateReportRef:
    """Return the reference to an attempt's gate report; refuse where the gate was not run."""
    if attempt.gate is None:
        raise RefusedError(
            f"Attempt {attempt.number} of cycle {attempt.cycle} was not gated.",
            next_step="run the cycle's gate first",
        )
    return attempt.gate


def candidate_of(attempt: Attempt) -> CandidateRef:
    """Return the release that an attempt trained; refuse where it did not train yet."""
    if attempt.candidate is None:
        raise RefusedError(
            f"Attempt {attempt.number} of cycle {attempt.cycle} has not trained a release.",
            next_step="run the cycle's training first",
        )
    return attempt.candidate


def require_pass(attempt: Attempt) -> GateReport:
    """Return the gate report of an attempt that passed; refuse every other outcome.

    Raises:
        RefusedError: the gate was not run, or did not pass.
        IntegrityError: the file is missing or was changed.
    """
    report = gate_of(attempt).read()
    if report.outcome != "pass":
        raise RefusedError(
            f"The gate of cycle {attempt.cycle} ended {report.outcome}: "
            + "; ".join(report.reasons),
            next_step="start a new attempt with more data, or stop the cycle",
        )
    return report

"""`check_effect`: whether the candidate answers otherwise than the base in any way at all."""

from collections.abc import Sequence

from flywheel.artifacts.gate_report import GateCheck
from flywheel.evaluate.suites import CaseResult

__all__ = ["check_effect"]

# Two servers of one model differ by less, and training moves some confidence by far more.
_SAME = 1e-4


def check_effect(cases: Sequence[CaseResult]) -> GateCheck | None:
    """Return a failed check where every answer and every confidence is the base's, else None.

    Such an adapter was not applied, or learned nothing. Confidences that are all alike tell
    nothing, and two good models may give the same answers: both alone fail no candidate.
    """
    arms: dict[str, dict[tuple[str, str], CaseResult]] = {"candidate": {}, "base": {}}
    for case in cases:
        if case.arm in arms:
            arms[case.arm][case.suite, case.inference_id] = case
    candidate, base = arms["candidate"], arms["base"]
    pairs = [(case, base[key]) for key, case in candidate.items() if key in base]
    confidences = {case.confidence for case, _ in pairs}
    if len(confidences) < 2 or not all(_alike(*pair) for pair in pairs):  # noqa: PLR2004 - alike
        return None
    return GateCheck(
        name="effect",
        outcome="fail",
        value=0.0,
        limit=_SAME,
        reason=f"effect: all {len(pairs)} answers and their confidences are those of the base model: "
        "the adapter does nothing",
    )


def _alike(one: CaseResult, other: CaseResult) -> bool:
    if one.text != other.text or (one.confidence is None) != (other.confidence is None):
        return False
    return abs((one.confidence or 0.0) - (other.confidence or 0.0)) <= _SAME

"""What each kind of poison that the simulation sends becomes as a dead letter."""

from flywheel.events import Reason

__all__ = ["EXPECTED"]

EXPECTED = {
    "bad_json": Reason.BAD_JSON,
    "bad_utf8": Reason.BAD_UTF8,
    "wrong_type": Reason.WRONG_TYPE,
    "unknown_workload": Reason.UNKNOWN_WORKLOAD,
    "missing_id": Reason.MISSING_ID,
    "not_a_number": Reason.NOT_FINITE,
    "deep_nesting": Reason.TOO_DEEP,
    "too_large": Reason.TOO_LARGE,
    "empty": Reason.BAD_JSON,
    "not_an_object": Reason.WRONG_TYPE,
}

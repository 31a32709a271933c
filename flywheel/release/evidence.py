"""Reads a gate report's file back and says whether it still proves what was recorded.

The file is read as plain JSON: this stage relies on its digest, outcome and names alone.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from flywheel.errors import IntegrityError, RefusedError
from flywheel.state import Attempt

__all__ = ["read_gate_text", "require_pass"]


def read_gate_text(attempt: Attempt) -> str:
    """Return the text of an attempt's gate report after checking its hash.

    Raises:
        RefusedError: the gate was not run.
        IntegrityError: the file is missing or was changed.
    """
    if "gate_report" not in attempt.facts:
        raise RefusedError(
            f"Attempt {attempt.number} of cycle {attempt.cycle} was not gated.",
            next_step="run the cycle's gate first",
        )
    path = Path(attempt.facts["gate_report"])
    try:
        content = path.read_bytes()
    except OSError as error:
        raise IntegrityError(
            f"The gate report {path} cannot be read: {error.strerror}",
            next_step="run the gate again",
        ) from error
    if hashlib.sha256(content).hexdigest() != attempt.facts["gate_digest"]:
        raise IntegrityError(
            f"The gate report {path} was changed after the decision.",
            next_step="run the gate again",
        )
    return content.decode()


def require_pass(attempt: Attempt) -> dict[str, Any]:
    """Return the gate report of an attempt that passed; refuse every other outcome."""
    report: dict[str, Any] = json.loads(read_gate_text(attempt))
    if report["outcome"] != "pass":
        raise RefusedError(
            f"The gate of cycle {attempt.cycle} ended {report['outcome']}: "
            + "; ".join(report["reasons"]),
            next_step="start a new attempt with more data, or stop the cycle",
        )
    return report

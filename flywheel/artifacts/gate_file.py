"""`GateReportRef`: where a gate report lies, and the digest and outcome that were recorded with it.

`write_gate_report` writes the file and returns the reference; every reader gets the report through
``GateReportRef.read``, which checks the file against the digest.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from flywheel.artifacts.gate_report import GateReport, Outcome, parse_report
from flywheel.artifacts.local_copy import bring_here
from flywheel.errors import IntegrityError
from flywheel.io.atomic import copy_file, write_text
from flywheel.io.records import JsonObject

__all__ = ["FIRST_LOOK_FILE", "GATE_FILE", "GATE_REPORT", "GateReportRef", "write_gate_report"]

GATE_FILE = "gate.json"
FIRST_LOOK_FILE = "gate-first-look.json"
# Key of a path, which the state stores relative to its home.
GATE_REPORT = "gate_report"
_AGAIN = "run the gate again"


@dataclass(frozen=True)
class GateReportRef:
    """A gate report on disk, with what was recorded when it was written.

    ``look`` is None in states of version 0.1. ``cases_to_collect`` and ``judgments_until`` are
    those of a first look that waits for a second, and stay after it.
    """

    path: Path
    digest: str
    outcome: Outcome
    look: int | None = None
    cases_to_collect: int | None = None
    judgments_until: datetime | None = None

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "GateReportRef | None":
        """Read the reference in an attempt's facts or an audit row; None before the gate ran."""
        if not {GATE_REPORT, "gate_digest", "gate_outcome"} <= facts.keys():
            return None
        until = facts.get("judgments_until")
        return cls(
            path=Path(facts[GATE_REPORT]),
            digest=facts["gate_digest"],
            outcome=facts["gate_outcome"],
            look=facts.get("gate_look"),
            cases_to_collect=facts.get("cases_to_collect"),
            judgments_until=None if until is None else datetime.fromisoformat(until),
        )

    def to_facts(self) -> JsonObject:
        """Return the form in JSON that ``from_facts`` reads; what is None is left out."""
        until = self.judgments_until
        facts = {
            GATE_REPORT: str(self.path),
            "gate_digest": self.digest,
            "gate_outcome": self.outcome,
            "gate_look": self.look,
            "cases_to_collect": self.cases_to_collect,
            "judgments_until": None if until is None else until.isoformat(),
        }
        return {name: value for name, value in facts.items() if value is not None}

    def read_text(self) -> str:
        """Return the file's text.

        Raises:
            IntegrityError: the file is missing or was changed.
        """
        bring_here(self.path)
        content = self._content()
        if hashlib.sha256(content).hexdigest() != self.digest:
            # Another machine may have looked a second time, and this one holds the first look.
            bring_here(self.path, again=True)
            content = self._content()
        if hashlib.sha256(content).hexdigest() != self.digest:
            raise IntegrityError(
                f"The gate report {self.path} was changed after the decision.", next_step=_AGAIN
            )
        return content.decode()

    def _content(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise IntegrityError(
                f"The gate report {self.path} cannot be read: {error.strerror}", next_step=_AGAIN
            ) from error

    def read(self) -> GateReport:
        """Return the report.

        Raises:
            IntegrityError: the file is missing, was changed or is not a gate report.
        """
        return parse_report(self.read_text())


def write_gate_report(report: GateReport, folder: Path) -> GateReportRef:
    """Write a report into ``folder``; at a second look the first report stays beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = (folder / GATE_FILE).absolute()
    if report.look > 1:
        copy_file(path, path.with_name(FIRST_LOOK_FILE))
    write_text(path, report.to_json())
    return GateReportRef(
        path=path,
        digest=report.digest,
        outcome=report.outcome,
        look=report.look,
        cases_to_collect=report.cases_to_collect,
        judgments_until=report.judgments_until,
    )

"""`Evidence`: digests of what a page showed, part by part, so that a verdict counts for exactly that.

The list of who did what is left out: it grows without changing what is judged.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from flywheel.usecases.desk.cycle_page import CyclePage

__all__ = ["Evidence", "evidence_of"]

# Parts of a page that a person judges, under the names that people see.
_PARTS: dict[str, tuple[str, ...]] = {
    "the status of the cycle": ("status", "attempt", "reason", "requested_by"),
    "the champion": ("champion",),
    "why the cycle was opened": ("opening",),
    "the data or its labels": ("data",),
    "the comparison with the champion": ("gate", "cases"),
    "drift": ("drift",),
    "the candidate": ("card",),
    "what could be read": ("problems",),
}


@dataclass(frozen=True)
class Evidence:
    """The digest of each part of a page."""

    parts: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Return one digest of all parts, 64 hexadecimal digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def text(self) -> str:
        """Return the form that a form's field carries."""
        return json.dumps(dict(self.parts), sort_keys=True)

    @classmethod
    def parse(cls, text: str) -> "Evidence | None":
        """Read the form that a field carries; None where it is not one."""
        try:
            parts = json.loads(text)
        except ValueError:
            return None
        is_map = isinstance(parts, dict) and all(isinstance(x, str) for x in parts.values())
        return cls(parts) if is_map else None

    def changed(self, now: "Evidence") -> tuple[str, ...]:
        """Return the names of the parts that differ from those of now."""
        names = [*self.parts, *(name for name in now.parts if name not in self.parts)]
        return tuple(name for name in names if self.parts.get(name) != now.parts.get(name))


def evidence_of(page: CyclePage) -> Evidence:
    """Return the digests of a cycle's page."""
    values = asdict(page)
    return Evidence(
        {
            name: _digest({field: values[field] for field in fields})
            for name, fields in _PARTS.items()
        }
    )


def _digest(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> str:
    assert isinstance(value, date)  # moments are dates too
    return value.isoformat()

"""`Pii`: one item of personal data in a text."""

from dataclasses import dataclass

from flywheel.workload.privacy import NameKind, PiiKind

__all__ = ["Pii"]


@dataclass(frozen=True)
class Pii:
    """One finding: its kind and place; ``value`` is normalized, equal for two spellings of one."""

    kind: PiiKind | NameKind
    start: int
    end: int
    value: str

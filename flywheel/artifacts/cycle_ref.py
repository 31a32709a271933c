"""`CycleRef`: the identity of a cycle, a workload's id and the cycle's name as one value."""

from dataclasses import dataclass

__all__ = ["CycleRef"]


@dataclass(frozen=True, order=True)
class CycleRef:
    """One cycle of one workload; ``str()`` of it is the subject of its rows in the audit.

    Examples:
        >>> str(CycleRef("tickets", "2026Q2-1"))
        'tickets/2026Q2-1'
    """

    workload_id: str
    name: str

    def __str__(self) -> str:
        return f"{self.workload_id}/{self.name}"

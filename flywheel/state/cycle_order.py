"""`last_changed`: the cycle of a workload that something happened to last."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flywheel.state.cycles import Cycle

__all__ = ["last_changed"]


def last_changed(cycles: "Sequence[Cycle]") -> "Cycle | None":
    """Return the cycle that changed last: an older one, where its release was tried again.

    Args:
        cycles: of one workload, oldest first; of two that changed at one moment the younger counts.
    """
    return max(reversed(cycles), key=lambda cycle: cycle.changed_at, default=None)

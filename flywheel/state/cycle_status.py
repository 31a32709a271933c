"""`CycleStatus` and `NEXT_STATUSES`: the statuses of a cycle, and which may follow which."""

from typing import Literal

from flywheel.artifacts.cycle_ref import CycleRef

__all__ = ["NEXT_STATUSES", "OPEN_STATUSES", "RETRYABLE", "CycleStatus", "after_refusal"]

CycleStatus = Literal[
    "open",
    "training",
    "gated_fail",
    "inconclusive",
    "awaiting_judgments",
    "awaiting_approval",
    "approved",
    "releasing",
    "promoted",
    "rolled_back",
    "rejected",
    "expired",
    "stopped",
]
OPEN_STATUSES: tuple[CycleStatus, ...] = (
    "open",
    "training",
    "awaiting_judgments",
    "awaiting_approval",
    "approved",
    "releasing",
)

_JUDGED: frozenset[str] = frozenset(
    {
        "gated_fail",
        "inconclusive",
        "awaiting_judgments",
        "awaiting_approval",
        "stopped",
        "expired",
    }
)
# What may follow what. A failed cycle continues only through a new attempt; one that was
# promoted or rejected is over. An approval that ran out can be given again. While its release is in
# shadow or canary a cycle is releasing; `rolled_back` is one whose release never became champion, and
# which `Cycles.review_again` alone opens again.
NEXT_STATUSES: dict[str, frozenset[str]] = {
    "open": _JUDGED | {"training"},
    "training": _JUDGED | {"open"},
    "awaiting_judgments": _JUDGED | {"rejected"},
    "awaiting_approval": _JUDGED | {"approved", "rejected", "training"},
    "approved": _JUDGED | {"releasing", "promoted", "rejected"},
    "releasing": frozenset({"promoted", "rolled_back"}),
    "expired": _JUDGED | {"approved", "rejected"},
    "gated_fail": frozenset({"stopped"}),
    "inconclusive": frozenset({"stopped"}),
    "stopped": frozenset(),
    "promoted": frozenset(),
    "rolled_back": frozenset(),
    "rejected": frozenset(),
}
RETRYABLE = _JUDGED | {"open", "training"}


def after_refusal(cycle: CycleRef, status: CycleStatus) -> str:
    """Return what a person can do with a cycle that cannot get the status it was to get."""
    names = "--as NAME --reason TEXT"
    if status == "releasing":
        return f"take its release back: `flywheel rollback {cycle.workload_id} {names}`"
    return (
        "a failed cycle continues with a new attempt "
        f"(`flywheel cycle retry {cycle.workload_id} {cycle.name} {names}`), a closed one with the "
        "next cycle"
    )

"""What every asset of a workload carries: owner, tags."""

from typing import Any

from flywheel.workload import Workload

__all__ = ["described"]


def described(workload: Workload, group: str, *, kinds: set[str]) -> dict[str, Any]:
    """Return the arguments that every asset of a workload shares.

    Dagster takes an owner as an e-mail address or as ``team:NAME``.
    """
    owner = workload.owner if "@" in workload.owner else f"team:{workload.owner}"
    return {
        "group_name": group,
        "owners": [owner],
        "kinds": kinds,
        "tags": {"workload": workload.id},
    }

"""What every asset of a workload carries: group, owner, kinds, tags; how fresh it should be."""

import re
from datetime import timedelta
from typing import TypedDict

import dagster as dg

from flywheel.workload.model import Workload

__all__ = ["DAILY", "Description", "asset_defaults"]

# What a schedule makes every day; an hour is left for the run itself.
DAILY = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(hours=49), warn_window=timedelta(hours=25)
)

_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}")


class Description(TypedDict):
    """Arguments of ``dagster.asset`` that all assets of a workload share."""

    group_name: str
    owners: list[str]
    kinds: set[str]
    tags: dict[str, str]


def asset_defaults(workload: Workload, stage: str, *, kinds: set[str]) -> Description:
    """Return the arguments that every asset of a workload shares.

    The group is the workload, then the stage, so that Dagster's sorted list keeps a workload's
    stages together. Dagster takes an owner as an e-mail address or as ``team:NAME``, and refuses
    the whole code location over any other.
    """
    return {
        "group_name": f"{workload.id}_{stage}",
        "owners": [_owner(workload.owner)],
        "kinds": kinds,
        "tags": {"workload": workload.id, "stage": stage},
    }


def _owner(name: str) -> str:
    return name if _ADDRESS.fullmatch(name) else f"team:{name}"

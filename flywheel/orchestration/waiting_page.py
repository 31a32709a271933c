"""`waiting_spec` and `waiting_event`: the asset that lists what waits for a person."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args

import dagster as dg

from flywheel.orchestration.keys import PLATFORM
from flywheel.orchestration.presentation import markdown_table, simulated_date
from flywheel.usecases.waiting import WaitingItem, WaitingKind
from flywheel.wiring import Platform

__all__ = ["WAITING", "waiting_event", "waiting_spec"]

WAITING = dg.AssetKey([PLATFORM, "waiting_for_a_person"])


def waiting_spec() -> dg.AssetSpec:
    """Return the asset's description."""
    return dg.AssetSpec(
        key=WAITING,
        group_name="platform_people",
        owners=["team:data-engineering"],
        kinds={"python"},
        description=(
            "What waits for a person, of all workloads, with the "
            "command: approvals, failed gates, reviews, adjudications, new categories, "
            "answers and queue files that were set aside, dead letters. Kept up to date by [waiting_sensor](/locations/flywheel/sensors/"
            "waiting_sensor); the same list is printed by `flywheel waiting`. Under *Plots*, how "
            "many of each over time."
        ),
    )


def waiting_event(
    platform: Platform, items: Sequence[WaitingItem], problems: Sequence[str] = ()
) -> dg.AssetMaterialization:
    """Return the event that shows the list; ``problems`` are alerts that were not sent."""
    counts: Counter[str] = Counter()
    for item in items:
        counts[item.kind] += item.count
    summary = ", ".join(f"{n} {kind}" for kind, n in counts.items()) or "nothing waits for a person"
    rows = [
        {
            "workload": item.workload_id,
            "what": item.kind,
            "in words": item.text,
            "since": "" if item.since is None else f"{item.since:%Y-%m-%d %H:%M}",
            "next": item.command,
        }
        for item in items
    ]
    metadata: dict[str, Any] = {
        "summary": summary,
        "waiting": markdown_table(rows),
        **{f"count: {kind}": counts[kind] for kind in get_args(WaitingKind)},
        **simulated_date(platform),
    }
    if problems:
        metadata["alerts not sent"] = "; ".join(problems)
    return dg.AssetMaterialization(asset_key=WAITING, description=summary, metadata=metadata)

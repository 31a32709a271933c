"""`decision_event`: an evaluation of the trigger as an event of the asset ``trigger``.

Its numbers are numeric metadata, so that Dagster plots corrections against the threshold, drifted
windows and the fall of accuracy over time.
"""

from typing import Any

import dagster as dg

from flywheel.orchestration.keys import asset_key
from flywheel.orchestration.links import workload_links
from flywheel.orchestration.presentation import plain_text, simulated_date
from flywheel.state import Decision
from flywheel.wiring import Platform

__all__ = ["decision_event"]

_PLOTTED = {
    "new_corrections": "new corrections",
    "corrections_threshold": "new corrections that open a cycle",
    "drifted_windows": "drifted windows in a row",
    "windows": "drifted windows that open a cycle",
    "windows_measured": "windows that hold only answers of the present release",
    "quality_drop": "fall of accuracy on the control slice",
    "quality_threshold": "fall of accuracy that opens a cycle",
}


def decision_event(platform: Platform, decision: Decision) -> dg.AssetMaterialization:
    """Return the event that shows a decision on the asset ``trigger`` of its workload."""
    plotted: dict[str, Any] = {
        title: decision.numbers[name]
        for name, title in _PLOTTED.items()
        if isinstance(decision.numbers.get(name), int | float)
    }
    return dg.AssetMaterialization(
        asset_key=asset_key(decision.workload_id, "trigger"),
        description=plain_text(decision.reason),
        metadata={
            "opens a cycle": decision.opens,
            "trigger": decision.trigger or "none",
            "cycle": decision.cycle or "none",
            "reason": plain_text(decision.reason),
            **plotted,
            "windows left out": decision.numbers.get("windows_left_out") or "none",
            "numbers": dg.MetadataValue.json(decision.numbers),
            **workload_links(platform, decision.workload_id),
            **simulated_date(platform),
        },
    )

"""`guards_spec` and `watch_events`: the verdict on a release in a stage, as Dagster shows it."""

from typing import Any

import dagster as dg

from flywheel.io.spelling import show_invisible
from flywheel.orchestration.keys import asset_key, cycle_partitions
from flywheel.usecases.release_path import Watch
from flywheel.workload.model import Workload

__all__ = ["GUARDS", "guards_spec", "watch_events"]

GUARDS = "guards"
_LONGEST = 2_000


def guards_spec(workload: Workload) -> dg.AssetCheckSpec:
    """Return the check that a release in shadow or canary is neither worse nor silent."""
    return dg.AssetCheckSpec(
        GUARDS,
        asset=asset_key(workload, "release"),
        partitions_def=cycle_partitions(workload),
        description=(
            "Shadow and canary against the champion on the same days. What is worse or silent is "
            "rolled back by itself; a workload without stages has nothing to check."
        ),
    )


def watch_events(
    workload: Workload, watch: Watch
) -> list[dg.AssetObservation | dg.AssetCheckEvaluation]:
    """Return what a look at a stage says: an observation, and the failed check of a rollback.

    Dagster stores one evaluation of a partition outside of runs, so that only the first verdict that
    takes a release back can be one: the check of a release that was tried again has failed already.
    """
    key, reason = asset_key(workload, "release"), show_invisible(watch.step.reason, limit=_LONGEST)
    metadata: dict[str, Any] = {
        "summary": reason,
        "release": watch.stage.release,
        "stage": watch.stage.kind,
        "share": watch.stage.share,
        "champion": watch.stage.champion,
        "verdict": watch.look.outcome,
        "answers": watch.look.answers,
        "figures": show_invisible(watch.look.reason, limit=_LONGEST),
    }
    observation = dg.AssetObservation(
        asset_key=key, partition=watch.cycle, description=reason, metadata=metadata
    )
    if watch.step.action != "roll_back" or watch.is_retried:
        return [observation]
    evaluation = dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=GUARDS,
        partition=watch.cycle,
        passed=False,
        severity=dg.AssetCheckSeverity.ERROR,
        description=reason,
        metadata=metadata,
    )
    return [observation, evaluation]

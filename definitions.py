"""The code location: every workload's assets, checks, jobs, sensors and schedules at a glance.

A workload whose file does not load is an asset that says why; the others are all there.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from assets.by_hand import cycle_by_hand_job
from assets.dataset import dataset_asset
from assets.directed import directed_asset
from assets.drift import drift_assets
from assets.erase import erase_person_job
from assets.gate import gate_asset
from assets.ingest import landing, ledger_balances, maintenance
from assets.release import release_asset
from assets.review import review_assets
from assets.train import adapter_asset
from assets.workload_files import unloaded_workload, workload_files_load
from flywheel.io.garbage import collect_seldom
from flywheel.orchestration.automation import Automation
from flywheel.orchestration.keys import (
    LANDING_JOB,
    MAINTENANCE_JOB,
    MAX_RUNTIME_TAG,
    asset_key,
    cycle_job,
    directed_job,
    gate_job,
    observe_job,
    release_job,
    review_job,
    sample_job,
)
from flywheel.orchestration.resources import platform_resource
from flywheel.orchestration.run_processes import fork_runs
from flywheel.orchestration.waiting_page import waiting_spec
from flywheel.settings import restrict_files
from flywheel.wiring import open_platform
from flywheel.workload.folder import WorkloadProblem
from flywheel.workload.model import Workload
from sensors.approvals import granted_approvals_sensor
from sensors.audit import audit_head_sensor
from sensors.calendar import (
    calendar_schedule,
    maintenance_schedule,
    observe_schedule,
    sample_schedule,
)
from sensors.days import whole_days_sensor
from sensors.events import new_events_sensor
from sensors.releases import reconcile_sensor, staged_releases_sensor
from sensors.reviews import finished_reviews_sensor
from sensors.trigger import trigger_sensor
from sensors.waiting import failed_runs_sensor, waiting_sensor

__all__ = ["defs"]

# An hour for what is not a training; the daemon ends what takes longer.
_SECONDS = 3600
# What each job does and when it runs, as its page in Dagster shows it.
_LANDING = "Lands what the event log holds. Started by new_events_sensor; safe to repeat."
_MAINTENANCE = "Compacts and cleans the lake's tables. Hourly; safe to repeat."
_SAMPLE = "chooses what people review, within the budget. Daily; safe to repeat."
_OBSERVE = "profiles new days and measures drift. Daily and when days have landed; safe to repeat."
_REVIEW = "collects what people answered. Started by finished_reviews_sensor; safe to repeat."
_CYCLE = (
    "dataset, adapter and gate of one cycle, its partition. Started by trigger_sensor for an open "
    "cycle; a person opens one with cycle_by_hand_job or `flywheel cycle open`. Repeated, it goes "
    "on where it stopped."
)
_GATE = (
    "judges a trained candidate again: the second look once the judgments that an undecided gate "
    "asked for are in. Started by trigger_sensor; safe to repeat."
)
_DIRECTED = (
    "asks people about the cases that an undecided gate lacks, within the budget. Started by hand; "
    "safe to repeat."
)
_RELEASE = (
    "promotes the approved candidate of a cycle, or moves its release on through shadow and canary. "
    "Started by granted_approvals_sensor after `flywheel approve` and by staged_releases_sensor; "
    "safe to repeat."
)


def workload_assets(workload: Workload) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """Build every asset of one workload, in the order of the loop."""
    return [
        *drift_assets(workload),
        *review_assets(workload),
        dataset_asset(workload),
        adapter_asset(workload),
        gate_asset(workload),
        directed_asset(workload),
        release_asset(workload),
    ]


def job(
    name: str, workload: Workload, what: str, *assets: str, most_seconds: int = _SECONDS
) -> Any:
    """Build a job over assets of one workload; a run that takes longer is ended.

    Dagster does not export the type of an asset job that is not resolved yet, hence Any.
    """
    keys = [asset_key(workload, asset) for asset in assets]
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*keys),
        description=f"{workload.id}: {what}",
        tags={MAX_RUNTIME_TAG: most_seconds},
    )


def build_definitions(
    workloads: list[Workload],
    automation: Automation | None = None,
    problems: Sequence[WorkloadProblem] = (),
) -> dg.Definitions:
    """Assemble the code location of these workloads, and show the files that do not load."""
    automation = automation or Automation()
    sample = [job(sample_job(w.id), w, _SAMPLE, "review_items") for w in workloads]
    observe = [job(observe_job(w.id), w, _OBSERVE, "profiles", "drift") for w in workloads]
    review = [job(review_job(w.id), w, _REVIEW, "corrections") for w in workloads]
    cycle = [
        job(
            cycle_job(w.id),
            w,
            _CYCLE,
            *("dataset", "adapter", "gate"),
            most_seconds=w.training.timeout_seconds + _SECONDS,
        )
        for w in workloads
    ]
    gate = [job(gate_job(w.id), w, _GATE, "gate") for w in workloads]
    directed = [job(directed_job(w.id), w, _DIRECTED, "directed_items") for w in workloads]
    release = [job(release_job(w.id), w, _RELEASE, "release") for w in workloads]
    bounded = {MAX_RUNTIME_TAG: _SECONDS}
    shared: list[Any] = [
        dg.define_asset_job(LANDING_JOB, selection=[landing], description=_LANDING, tags=bounded),
        dg.define_asset_job(
            MAINTENANCE_JOB, selection=[maintenance], description=_MAINTENANCE, tags=bounded
        ),
        erase_person_job,
        *([cycle_by_hand_job(workloads)] if workloads else []),
    ]
    watching = [
        whole_days_sensor(workloads, observe, automation),
        finished_reviews_sensor(workloads, review, automation),
        trigger_sensor(workloads, [*cycle, *gate], automation),
        granted_approvals_sensor(workloads, release, automation),
        staged_releases_sensor(workloads, release, automation),
        reconcile_sensor(workloads, automation),
        audit_head_sensor(workloads, automation),
    ]
    return dg.Definitions(
        assets=[
            landing,
            maintenance,
            waiting_spec(),
            *(a for w in workloads for a in workload_assets(w)),
            *map(unloaded_workload, problems),
        ],
        asset_checks=[ledger_balances, workload_files_load],
        jobs=[*shared, *sample, *observe, *review, *cycle, *gate, *directed, *release],
        schedules=[
            maintenance_schedule(automation),
            *(sample_schedule(w, automation) for w in workloads),
            *(observe_schedule(w, automation) for w in workloads),
            *(calendar_schedule(w, automation) for w in workloads),
        ],
        sensors=[
            new_events_sensor(automation),
            waiting_sensor(automation),
            failed_runs_sensor(automation),
            *(watching if workloads else []),
        ],
        resources={"platform": platform_resource},
        executor=dg.in_process_executor,
    )


def _build() -> dg.Definitions:
    # Every process of Dagster that runs code loads this module.
    collect_seldom()
    fork_runs()
    platform = open_platform()
    restrict_files(platform.settings)
    automation = Automation(
        runs=not platform.is_demo, sensor_seconds=platform.settings.sensor_seconds
    )
    folder = platform.workload_folder
    return build_definitions(
        list(folder.workloads.values()), automation, list(folder.problems.values())
    )


defs = _build()

"""The code location: every workload's assets, checks, jobs, sensors and schedules at a glance."""

import dagster as dg

from assets.dataset import dataset_asset
from assets.drift import drift_assets
from assets.gate import gate_asset
from assets.ingest import landing, ledger_balances, maintenance
from assets.release import release_asset
from assets.review import review_assets
from assets.train import adapter_asset
from flywheel.orchestration.keys import (
    LANDING_JOB,
    MAINTENANCE_JOB,
    asset_key,
    cycle_job,
    observe_job,
    release_job,
    review_job,
)
from flywheel.orchestration.resources import platform_resource
from flywheel.wiring import open_platform
from flywheel.workload import Workload
from sensors.approvals import granted_approvals_sensor
from sensors.calendar import calendar_schedule, maintenance_schedule, observe_schedule
from sensors.events import new_events_sensor
from sensors.reviews import finished_reviews_sensor
from sensors.trigger import trigger_sensor

__all__ = ["defs"]


def workload_assets(workload: Workload) -> list[dg.AssetsDefinition]:
    """Build every asset of one workload, in the order of the loop."""
    return [
        *drift_assets(workload),
        *review_assets(workload),
        dataset_asset(workload),
        adapter_asset(workload),
        gate_asset(workload),
        release_asset(workload),
    ]


def workload_jobs(workload: Workload) -> list[dg.UnresolvedAssetJobDefinition]:
    """Build the jobs of one workload: observe, review, cycle, release."""

    def job(name: str, *assets: str) -> dg.UnresolvedAssetJobDefinition:
        keys = [asset_key(workload, asset) for asset in assets]
        return dg.define_asset_job(name, selection=dg.AssetSelection.assets(*keys))

    return [
        job(observe_job(workload.id), "profiles", "drift", "review_items"),
        job(review_job(workload.id), "corrections"),
        job(cycle_job(workload.id), "dataset", "adapter", "gate"),
        job(release_job(workload.id), "release"),
    ]


def build_definitions(workloads: list[Workload]) -> dg.Definitions:
    """Assemble the code location of these workloads."""
    shared = [
        dg.define_asset_job(LANDING_JOB, selection=dg.AssetSelection.assets(landing)),
        dg.define_asset_job(MAINTENANCE_JOB, selection=dg.AssetSelection.assets(maintenance)),
    ]
    per_workload = [
        finished_reviews_sensor(workloads),
        trigger_sensor(workloads),
        granted_approvals_sensor(workloads),
    ]
    return dg.Definitions(
        assets=[landing, maintenance, *(a for w in workloads for a in workload_assets(w))],
        asset_checks=[ledger_balances],
        jobs=[*shared, *(job for w in workloads for job in workload_jobs(w))],
        schedules=[
            maintenance_schedule,
            *(observe_schedule(w) for w in workloads),
            *(calendar_schedule(w) for w in workloads),
        ],
        sensors=[new_events_sensor, *(per_workload if workloads else [])],
        resources={"platform": platform_resource},
        executor=dg.in_process_executor,
    )


defs = build_definitions(list(open_platform().workloads.values()))

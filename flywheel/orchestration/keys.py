"""Names in Dagster: asset keys, groups, jobs and partitions of a workload.

An asset key is ``[workload_id, asset]``; an asset group is a stage of a workload. What all workloads
share has the key prefix ``platform``.
"""

import dagster as dg

from flywheel.workload.model import Workload

__all__ = [
    "ERASE_JOB",
    "HAND_JOB",
    "LANDING_JOB",
    "MAINTENANCE_JOB",
    "MAX_RUNTIME_TAG",
    "PLATFORM",
    "asset_key",
    "cycle_job",
    "cycle_partitions",
    "directed_job",
    "gate_job",
    "observe_job",
    "partitions_name",
    "release_job",
    "review_job",
    "sample_job",
]

PLATFORM = "platform"
LANDING_JOB = "landing_job"
# The job with a form in which a person opens, retries or stops a cycle.
HAND_JOB = "cycle_by_hand_job"
# The job with a form in which a person asks for an erasure.
ERASE_JOB = "erase_person_job"
MAINTENANCE_JOB = "maintenance_job"
# Dagster's tag of a run that may not take longer than so many seconds.
MAX_RUNTIME_TAG = "dagster/max_runtime"


def asset_key(workload: Workload | str, name: str) -> dg.AssetKey:
    """Return the key of a workload's asset."""
    return dg.AssetKey([workload if isinstance(workload, str) else workload.id, name])


def partitions_name(workload: Workload | str) -> str:
    """Name the partitions that stand for a workload's cycles."""
    return f"{workload if isinstance(workload, str) else workload.id}_cycles"


def cycle_partitions(workload: Workload | str) -> dg.DynamicPartitionsDefinition:
    """Return the partitions that stand for a workload's cycles."""
    return dg.DynamicPartitionsDefinition(name=partitions_name(workload))


def sample_job(workload_id: str) -> str:
    """Name the job that chooses what people review."""
    return f"{workload_id}_sample_job"


def observe_job(workload_id: str) -> str:
    """Name the job that profiles and measures drift."""
    return f"{workload_id}_observe_job"


def review_job(workload_id: str) -> str:
    """Name the job that collects what people answered."""
    return f"{workload_id}_review_job"


def cycle_job(workload_id: str) -> str:
    """Name the job that goes from dataset to gate."""
    return f"{workload_id}_cycle_job"


def directed_job(workload_id: str) -> str:
    """Name the job that asks people the cases that an undecided gate lacks."""
    return f"{workload_id}_directed_job"


def gate_job(workload_id: str) -> str:
    """Name the job of a gate's second look."""
    return f"{workload_id}_gate_job"


def release_job(workload_id: str) -> str:
    """Name the job that promotes an approved candidate."""
    return f"{workload_id}_release_job"

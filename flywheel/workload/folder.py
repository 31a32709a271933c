"""`read_workload_folder`: every workload of a deployment, and the files that do not load.

A file that does not load is an error of its own workload alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flywheel.errors import FlywheelError
from flywheel.workload.files import load_named_workload
from flywheel.workload.model import Workload

__all__ = ["WorkloadFolder", "WorkloadProblem", "read_workload_folder"]


@dataclass(frozen=True)
class WorkloadProblem:
    """A workload file that does not load; the file's name stands for its id."""

    workload_id: str
    path: Path
    error: FlywheelError


@dataclass(frozen=True)
class WorkloadFolder:
    """What a folder of workload files holds, by id."""

    workloads: Mapping[str, Workload] = field(default_factory=dict)
    problems: Mapping[str, WorkloadProblem] = field(default_factory=dict)


def read_workload_folder(
    folder: Path, check: Callable[[Workload], None] = lambda _: None
) -> WorkloadFolder:
    """Read every ``*.yaml`` in a folder.

    Args:
        folder: one file per workload, named by its id.
        check: raises a FlywheelError for a workload that may not be used as it stands.
    """
    workloads: dict[str, Workload] = {}
    problems: dict[str, WorkloadProblem] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            workload = load_named_workload(path)
            check(workload)
        except FlywheelError as error:
            problems[path.stem] = WorkloadProblem(path.stem, path, error)
        else:
            workloads[workload.id] = workload
    return WorkloadFolder(workloads, problems)

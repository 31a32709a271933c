"""Workload files that do not load: an asset each that says why, and a check that fails."""

import re

import dagster as dg

from flywheel.io.markdown import escape_markdown
from flywheel.orchestration.keys import PLATFORM
from flywheel.orchestration.presentation import markdown_table
from flywheel.orchestration.resources import PlatformParam
from flywheel.workload.folder import WorkloadProblem

__all__ = ["unloaded_workload", "workload_files_load"]

_PLAIN = re.compile(r"[^A-Za-z0-9_]")


def unloaded_workload(problem: WorkloadProblem) -> dg.AssetSpec:
    """Return the asset that stands for a workload whose file does not load."""
    return dg.AssetSpec(
        key=[_PLAIN.sub("_", problem.workload_id) or "_", "workload_file"],
        group_name="ingest",
        kinds={"yaml"},
        description="This workload does not load, and nothing of it runs: "
        + escape_markdown(problem.error),
        metadata={"file": str(problem.path), "next step": problem.error.next_step},
        tags={"workload": "not_loaded"},
    )


@dg.asset_check(
    asset=dg.AssetKey([PLATFORM, "landing"]),
    description="Every workload file loads; the events of one that does not are dead letters, to be "
    "replayed once it does. The code location shows a corrected file when it is reloaded.",
)
def workload_files_load(platform: PlatformParam) -> dg.AssetCheckResult:
    """Name the workload files that do not load."""
    problems = platform.workload_folder.problems.values()
    rows = [{"file": str(one.path), "problem": str(one.error)} for one in problems]
    return dg.AssetCheckResult(
        passed=not rows,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"not loaded": len(rows), "files": markdown_table(rows)},
    )

"""The Kubernetes Job of a run, made by Dagster's own launcher from the chart's ``dagster.yaml``."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dagster._core.code_pointer import FileCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin

from tests.run.chart import render

_RUN = "6f1d7c51-9a3f-4a5e-8f7d-0f6a2f7f0001"
_NOWHERE = {
    "apiVersion": "v1", "kind": "Config", "current-context": "none",
    "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}],
    "users": [{"name": "none", "user": {}}],
    "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
}  # fmt: skip


class Cluster:
    """Keep the Jobs that are to be created; nothing runs."""

    def __init__(self) -> None:
        self.jobs = []

    def create_namespaced_job_with_retries(self, body, namespace):
        """Take a Job."""
        self.jobs.append((namespace, body))


def dagster_configuration(values: str) -> dict[str, Any]:
    """Return the ``dagster.yaml`` that a set of values renders."""
    [text] = [
        m["data"]["dagster.yaml"] for m in render(values) if "dagster.yaml" in m.get("data", {})
    ]
    return yaml.safe_load(text)


@cache
def job_of_a_run(values: str) -> dict[str, Any]:
    """Launch a run by the chart's configuration and return its Job, as Kubernetes gets it."""
    from kubernetes.client import ApiClient

    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "kubeconfig"
        config.write_text(yaml.safe_dump(_NOWHERE))
        configuration = dagster_configuration(values)
        configuration["run_launcher"]["config"] |= {
            "load_incluster_config": False, "kubeconfig_file": str(config),
        }  # fmt: skip
        # PostgreSQL and the shared home are not here.
        for name in ("storage", "compute_logs"):
            del configuration[name]
        (Path(folder) / "dagster.yaml").write_text(yaml.safe_dump(configuration))
        with dg.DagsterInstance.from_config(folder) as instance:
            cluster, run = Cluster(), _run()
            instance.add_run(run)
            instance.run_launcher._api_client = cluster
            instance.run_launcher._launch_k8s_job_with_args("run", ["dagster"], run)
    [(namespace, job)] = cluster.jobs
    assert namespace == "flywheel"
    return ApiClient().sanitize_for_serialization(job)


def _run() -> dg.DagsterRun:
    pointer = FileCodePointer("definitions.py", "defs", "/opt/project")
    origin = RepositoryPythonOrigin("/opt/flywheel/bin/python", pointer)
    return dg.DagsterRun(
        job_name="landing", run_id=_RUN, job_code_origin=JobPythonOrigin("landing", origin)
    )

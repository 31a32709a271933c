"""`workload_links` and `cycle_links`: from an asset to the pages where its parts are looked at.

They ask no service. `label_studio_project` does, and is for the assets that talk to it anyway.
"""

from typing import Any

import dagster as dg

from flywheel.orchestration.presentation import mlflow_link
from flywheel.ports.model_server import BASE_RELEASE
from flywheel.release.standing import release_of
from flywheel.wiring import Platform

__all__ = ["cycle_links", "label_studio_project", "workload_links"]


def workload_links(platform: Platform, workload_id: str) -> dict[str, Any]:
    """Link to the people's project and to the model card of the release that answers."""
    links: dict[str, Any] = {}
    if platform.settings.review_queue == "label_studio":
        url = str(platform.settings.label_studio_url).rstrip("/")
        links["Label Studio"] = dg.MetadataValue.url(f"{url}/projects")
    champion = platform.state.routes.champion(workload_id)
    if champion == BASE_RELEASE:
        return links
    version = platform.state.releases.get(champion).facts.get("model_version")
    return links | _card(platform, workload_id, version, "model card of the champion")


def cycle_links(platform: Platform, workload_id: str, cycle: str) -> dict[str, Any]:
    """Link to what a cycle has left so far: training run, gate report, model card, project."""
    links = workload_links(platform, workload_id)
    facts = platform.state.cycles.attempt(workload_id, cycle).facts
    if "run_id" in facts:
        links |= mlflow_link(platform, f"runs/{facts['run_id']}", "MLflow run")
    if "gate_report" in facts:
        links["gate report"] = dg.MetadataValue.path(str(facts["gate_report"]))
    release = release_of(
        platform.state.cycles.get(workload_id, cycle), platform.state.releases.of(workload_id)
    )
    if release is not None:
        links |= _card(platform, workload_id, release.facts.get("model_version"), "model card")
    return links


def label_studio_project(platform: Platform, workload_id: str) -> dict[str, Any]:
    """Link to the workload's own project in Label Studio, where people review there.

    Raises:
        UnavailableError: Label Studio did not answer.
    """
    if platform.settings.review_queue != "label_studio":
        return {}
    from flywheel.review.label_studio.provisioning import find_project

    project = find_project(platform.label_studio, platform.workload(workload_id))
    if project is None:
        return {"Label Studio project": f"none yet: `flywheel review provision {workload_id}`"}
    return {"Label Studio project": dg.MetadataValue.url(project.url)}


def _card(
    platform: Platform, workload_id: str, version: object, name: str
) -> dict[str, dg.UrlMetadataValue]:
    # MLflow shows the card as the version's description.
    return (
        {}
        if version is None
        else mlflow_link(platform, f"models/{workload_id}/versions/{version}", name)
    )

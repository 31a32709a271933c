"""`workload_links` and `cycle_links`: from an asset to the pages where its parts are looked at.

They ask no service. `label_studio_project` does, and is for the assets that talk to it anyway.
"""

import dagster as dg

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.orchestration.presentation import mlflow_link
from flywheel.usecases.places import champion_version, cycle_places, project_page
from flywheel.wiring import Platform

__all__ = ["cycle_links", "label_studio_project", "workload_links"]


def workload_links(platform: Platform, workload_id: str) -> dict[str, dg.MetadataValue | str]:
    """Link to the people's project and to the model card of the release that answers."""
    links: dict[str, dg.MetadataValue | str] = {}
    if platform.settings.review_queue == "label_studio":
        url = str(platform.settings.label_studio_url).rstrip("/")
        links["Label Studio"] = dg.MetadataValue.url(f"{url}/projects")
    version = champion_version(platform, workload_id)
    return links | _card(platform, workload_id, version, "model card of the champion")


def cycle_links(platform: Platform, cycle: CycleRef) -> dict[str, dg.MetadataValue | str]:
    """Link to what a cycle has left so far: training run, gate report, model card, project."""
    workload_id = cycle.workload_id
    links = workload_links(platform, workload_id)
    places = cycle_places(platform, cycle)
    if places.run_id is not None:
        links |= mlflow_link(platform, f"runs/{places.run_id}", "MLflow run")
    if places.gate_report is not None:
        links["gate report"] = dg.MetadataValue.path(places.gate_report)
    return links | _card(platform, workload_id, places.model_version, "model card")


def label_studio_project(platform: Platform, workload_id: str) -> dict[str, dg.MetadataValue | str]:
    """Link to the workload's own project in Label Studio, where people review there.

    Raises:
        UnavailableError: Label Studio did not answer.
    """
    if platform.settings.review_queue != "label_studio":
        return {}
    url = project_page(platform, workload_id)
    if url is None:
        return {"Label Studio project": f"none yet: `flywheel review provision {workload_id}`"}
    return {"Label Studio project": dg.MetadataValue.url(url)}


def _card(
    platform: Platform, workload_id: str, version: str | None, name: str
) -> dict[str, dg.UrlMetadataValue]:
    # MLflow shows the card as the version's description.
    return (
        {}
        if version is None
        else mlflow_link(platform, f"models/{workload_id}/versions/{version}", name)
    )

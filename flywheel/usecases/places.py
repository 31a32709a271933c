"""`champion_version`, `cycle_places` and `project_page`: where a person looks at what a workload has."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.ports.model_server import BASE_RELEASE

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["CyclePlaces", "champion_version", "cycle_places", "project_page"]


@dataclass(frozen=True)
class CyclePlaces:
    """What a cycle has left so far; None for what is not there yet.

    ``run_id`` and ``model_version`` are MLflow's, ``gate_report`` is a path.
    """

    run_id: str | None
    gate_report: str | None
    model_version: str | None


def champion_version(platform: "Platform", workload_id: str) -> str | None:
    """Return MLflow's version of the release that answers, None for the base model."""
    champion = platform.state.routes.champion(workload_id)
    if champion == BASE_RELEASE:
        return None
    return platform.state.releases.get(champion).model_version


def cycle_places(platform: "Platform", cycle: CycleRef) -> CyclePlaces:
    """Return where run, gate report and model card of a cycle's present attempt are."""
    from flywheel.release.standing import release_of

    state = platform.state
    attempt = state.cycles.attempt(cycle)
    release = release_of(state.cycles.get(cycle), state.releases.of(cycle.workload_id))
    return CyclePlaces(
        None if attempt.candidate is None else attempt.candidate.run_id,
        None if attempt.gate is None else str(attempt.gate.path),
        None if release is None else release.model_version,
    )


def project_page(platform: "Platform", workload_id: str) -> str | None:
    """Return the address of a workload's project in Label Studio, None before it is made.

    Raises:
        UnavailableError: Label Studio did not answer.
    """
    from flywheel.review.label_studio.provisioning import find_project

    project = find_project(platform.label_studio, platform.workload(workload_id))
    return None if project is None else project.url

"""`require_served`: whether the model servers answer on every base that a workload's gate asks.

A vLLM serves one base. A workload that moves to another needs one for the champion's base and one
for the candidate's, and a missing one is named before anything is trained or measured.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from flywheel.errors import UnavailableError
from flywheel.ports.model_server import BASE_RELEASE

if TYPE_CHECKING:
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["require_served"]


def require_served(
    platform: "Platform",
    workload: "Workload",
    *,
    on_away: Callable[[str], None] | None = None,
) -> None:
    """Raise where no model server answers on the workload's base, or on its champion's.

    A server in the process of the platform serves any base, and is not asked.

    Args:
        platform: the deployment.
        workload: on the base that its cycle trains on.
        on_away: called with the reason where a server is away, which may pass; None: raised.

    Raises:
        UnservedBaseError: every address answers, and none serves one of the bases.
        UnavailableError: a server is away, and ``on_away`` is not given.
    """
    if platform.settings.model_server != "vllm":
        return
    bases = [platform.base(workload)]
    champion = platform.state.routes.champion(workload.id)
    if champion != BASE_RELEASE:
        digest = platform.state.releases.get(champion).lineage.base_digest
        if digest != bases[0].digest:
            bases.append(platform.bases.with_digest(digest))
    for base in bases:
        try:
            platform.require_served(base)
        except UnavailableError as error:
            if on_away is None:
                raise
            on_away(f"{base.name}: {error.message}")

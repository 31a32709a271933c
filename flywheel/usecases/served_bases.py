"""`require_served`: whether the model servers answer on every base that a workload's gate asks.

A vLLM serves one base. A workload that moves to another needs one for the champion's base and one
for the candidate's, and a missing one is named before anything is trained or measured.
"""

from collections.abc import Callable, Iterable
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
    champion = platform.state.routes.champion(workload.id)
    own = platform.base(workload)
    for base in dict.fromkeys((own.digest, *_base_digests(platform, [champion]))):
        found = own if base == own.digest else platform.bases.with_digest(base)
        try:
            platform.require_served(found)
        except UnavailableError as error:
            if on_away is None:
                raise
            on_away(f"{found.name}: {error.message}")


def _base_digests(platform: "Platform", releases: Iterable[str]) -> list[str]:
    # The release ``base`` was trained on none.
    names = (name for name in releases if name != BASE_RELEASE)
    return [platform.state.releases.get(name).lineage.base_digest for name in names]

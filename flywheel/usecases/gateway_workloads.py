"""`GatewayWorkloads`: what a gateway can be asked, as the workload files state it now."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flywheel.errors import FlywheelError
from flywheel.gateway.answered import Serving
from flywheel.gateway.batching import Batcher
from flywheel.privacy.names import require_model
from flywheel.release.serving import load_champion, load_routed
from flywheel.usecases.answering import ReleaseClient

if TYPE_CHECKING:
    from flywheel.usecases.gateway_tiers import TierOpening
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["GatewayWorkloads"]

_MOST_WAITING = 256
_PATIENCE_SECONDS = 5.0
_VLLM_CALLS = 4


class GatewayWorkloads:
    """The workloads of a deployment that can be asked, each with its batcher.

    `renew` follows the files: a workload whose file changed is served by its new form, one whose
    file no longer loads or whose base is missing is a problem of that workload alone.

    Args:
        platform: the deployment.
        tiers: opens tiers beyond the champion; None: champions alone answer.
    """

    def __init__(self, platform: "Platform", tiers: "TierOpening | None") -> None:
        self._platform = platform
        self._tiers = tiers
        self._serving: dict[str, Serving] = {}
        self._replaced: list[Serving] = []
        self._problems: dict[str, str] = {}

    def find(self, workload_id: str) -> Serving | None:
        """Return a workload that can be asked."""
        return self._serving.get(workload_id)

    def names(self) -> Sequence[str]:
        """Return the ids of the workloads that can be asked."""
        return sorted(self._serving)

    def problems(self) -> Sequence[str]:
        """Return why workloads cannot be asked."""
        return [f"{name}: {problem}" for name, problem in sorted(self._problems.items())]

    def renew(self) -> None:
        """Read the workload files again."""
        folder = self._platform.workload_folder
        problems = {name: problem.error.message for name, problem in folder.problems.items()}
        serving = dict(self._serving)
        for name, workload in folder.workloads.items():
            current = serving.get(name)
            if current is not None and current.workload.revision == workload.revision:
                continue
            try:
                serving[name] = self._open(workload)
            except FlywheelError as error:
                problems[name] = error.message
                serving.pop(name, None)
        serving = {name: one for name, one in serving.items() if name in folder.workloads}
        # A request may have found a batcher the moment before: it ends at the next renewal.
        _close(self._replaced)
        self._replaced = [
            one for name, one in self._serving.items() if serving.get(name) is not one
        ]
        self._serving, self._problems = serving, problems
        if self._tiers is not None:
            self._tiers.renew_bases()

    def mend_replicas(self) -> None:
        """Load what the routes name on replicas that came back without it; they get no traffic yet."""
        platform = self._platform
        for one in self._serving.values():
            if platform.replicas_lack_releases(one.workload):
                load_routed(platform.state, platform.server(one.workload), one.workload.id)

    def close(self) -> None:
        """Answer what waits and end every thread."""
        _close([*self._replaced, *self._serving.values()])

    def _open(self, workload: "Workload") -> Serving:
        platform = self._platform
        require_model(workload.privacy.names if workload.privacy else None)
        load_champion(platform.state, platform.server(workload), workload.id)
        client = ReleaseClient.of(platform, workload, patience_seconds=_PATIENCE_SECONDS)
        replicas = len(platform.settings.vllm_urls)
        calls = _VLLM_CALLS * replicas if platform.settings.model_server == "vllm" else 1
        batcher = Batcher(client.ask, threads=calls, most_waiting=_MOST_WAITING)
        portfolio = None if self._tiers is None else self._tiers.open(workload)
        return Serving(workload, platform.base(workload).name, batcher, portfolio)


def _close(served: Sequence[Serving]) -> None:
    for one in served:
        one.batcher.close()
        if one.portfolio is not None:
            one.portfolio.close()

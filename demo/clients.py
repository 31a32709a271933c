"""`GatewayClients`: the demo's applications, ordinary OpenAI clients of the gateway.

The clock moves to each report's moment before it is asked, and stands still until its answer and
its copy for a shadow are recorded, so that the same reports leave the same events.
"""

import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime

from prometheus_client.parser import text_string_to_metric_families

from flywheel.clock import ManualClock
from flywheel.deployment.gateway_program import gateway_in_thread
from flywheel.errors import UnavailableError
from flywheel.events import event_id
from flywheel.io.http import HttpClient, HttpService
from flywheel.io.patience import Patience, poll
from flywheel.simulation.gateway_client import GatewayClient
from flywheel.simulation.traffic import SimulatedCall
from flywheel.usecases.keys import create_key
from flywheel.usecases.simulated_world import APPROVER
from flywheel.wiring import Platform

__all__ = ["GatewayClients"]

_PATIENCE_SECONDS = 60
_PAUSE_SECONDS = 0.01
_COPIES = "flywheel_gateway_shadows_total"
_IN_SPOOL = "flywheel_gateway_spool_events"


class GatewayClients:
    """Ask a gateway in this process about simulated reports, each site with its own key.

    Args:
        platform: the deployment that is asked.
        clock: of the deployment.
        workload_id: named as the model.
        seed: of the ids of copies.
    """

    def __init__(self, platform: Platform, clock: ManualClock, workload_id: str, seed: int) -> None:
        self._platform = platform
        self._clock = clock
        self._workload_id = workload_id
        self._seed = seed
        self._ids: list[str] = []
        self._rng = random.Random(seed)  # noqa: S311 - ids of a simulation

    def ask(self, calls: Sequence[SimulatedCall], *, is_shadowed: bool) -> None:
        """Ask about every report in order.

        Args:
            calls: in order of time, none before the clock.
            is_shadowed: whether a shadow gets a copy of every request.

        Raises:
            UnavailableError: the gateway was not ready, or a copy was not recorded, in time.
        """
        keys = {
            client_id: create_key(self._platform, client_id, person=APPROVER).key
            for client_id in sorted({call.client_id for call in calls})
        }
        with ExitStack() as stack:
            url = stack.enter_context(gateway_in_thread(self._platform, new_id=self._new_id))
            service = HttpService(url, "the gateway")
            http = stack.enter_context(HttpClient(service, seconds=30))
            self._wait(lambda: http.send("GET", "/readyz").is_success, "to be ready")
            clients = {
                client_id: stack.enter_context(GatewayClient.open(url, key, self._workload_id))
                for client_id, key in keys.items()
            }
            for number, call in enumerate(calls, start=1):
                self._prepare(call)
                clients[call.client_id].ask(call)
                if is_shadowed:
                    self._wait(lambda: _sum_of(http, _COPIES) >= number, "to record a copy")  # noqa: B023 - called here
            # What ends in the spool would land after the look at its stage.
            self._wait(lambda: _sum_of(http, _IN_SPOOL) == 0, "to send its events")

    def _prepare(self, call: SimulatedCall) -> None:
        self._clock.move_to(max(self._clock.now(), call.timestamp))
        self._ids = [call.inference_id]
        self._rng = random.Random(f"{self._seed}:{call.inference_id}")  # noqa: S311 - (as above)

    def _new_id(self, moment: datetime) -> str:
        # The first attempt has the report's id, by which simulated people know the truth.
        return self._ids.pop() if self._ids else event_id(moment, self._rng)

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        if not poll(condition, Patience(_PATIENCE_SECONDS), pause=_PAUSE_SECONDS):
            raise UnavailableError(
                f"The gateway took longer than {_PATIENCE_SECONDS} s {what}.",
                next_step="start the demo again: it goes on where it was",
            )


def _sum_of(http: HttpClient, metric: str) -> int:
    text = http.send("GET", "/metrics").text
    return sum(
        int(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == metric
    )

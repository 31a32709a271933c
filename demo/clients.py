"""`GatewayClients`: the demo's applications, ordinary OpenAI clients of the gateway.

The clock moves to each report's moment before it is asked, and stands still until its answer and
its copy for a shadow are recorded, so that the same reports leave the same events.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime

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

__all__ = ["GatewayClients", "second_id"]

_PATIENCE_SECONDS = 60
_PAUSE_SECONDS = 0.003
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
        self._clients: dict[str, GatewayClient] = {}
        self._http: HttpClient | None = None

    @contextmanager
    def at_work(self, calls: Sequence[SimulatedCall]) -> Iterator[None]:
        """Serve the gateway during the block, with a key for every site of some reports.

        Raises:
            UnavailableError: the gateway was not ready in time.
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
            self._http = http
            self._clients = {
                client_id: stack.enter_context(GatewayClient.open(url, key, self._workload_id))
                for client_id, key in keys.items()
            }
            yield

    def ask(self, calls: Sequence[SimulatedCall], *, is_shadowed: bool) -> None:
        """Ask about every report in order, while `at_work`.

        Args:
            calls: in order of time, none before the clock.
            is_shadowed: whether a shadow gets a copy of every request.

        Raises:
            UnavailableError: a copy was not recorded, or events were not sent, in time.
        """
        http = self._http
        assert http is not None
        copies = _sum_of(http, _COPIES) if is_shadowed else 0
        for call in calls:
            self._prepare(call)
            self._clients[call.client_id].ask(call)
            if is_shadowed:
                copies += 1
                self._wait(lambda: _sum_of(http, _COPIES) >= copies, "to record a copy")  # noqa: B023 - called here
        # What ends in the spool would land after the look at its stage.
        self._wait(lambda: _sum_of(http, _IN_SPOOL) == 0, "to send its events")

    def _prepare(self, call: SimulatedCall) -> None:
        self._clock.move_to(max(self._clock.now(), call.timestamp))
        self._ids = [call.inference_id]
        self._rng = _second_ids(self._seed, call)

    def _new_id(self, moment: datetime) -> str:
        # The first attempt has the report's id, by which simulated people know the truth.
        return self._ids.pop() if self._ids else event_id(moment, self._rng)

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        if not poll(condition, Patience(_PATIENCE_SECONDS), pause=_PAUSE_SECONDS):
            raise UnavailableError(
                f"The gateway took longer than {_PATIENCE_SECONDS} s {what}.",
                next_step="start the demo again: it goes on where it was",
            )


def second_id(seed: int, call: SimulatedCall) -> str:
    """Return the id of the champion's answer to a report at which the canary has failed."""
    return event_id(call.timestamp, _second_ids(seed, call))


def _second_ids(seed: int, call: SimulatedCall) -> random.Random:
    return random.Random(f"{seed}:{call.inference_id}")  # noqa: S311 - ids of a simulation


def _sum_of(http: HttpClient, metric: str) -> int:
    text = http.send("GET", "/metrics").text
    values = re.findall(rf"^{metric}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
    return sum(int(float(value)) for value in values)

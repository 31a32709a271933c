"""`GatewayClient`: a simulated application that asks the gateway through OpenAI's own client.

The client is no dependency of the library: demo, loop and benchmarks have it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openai

    from flywheel.simulation.traffic import SimulatedCall

__all__ = ["GatewayAnswer", "GatewayClient"]

_HEADERS = ("x-flywheel-release", "x-flywheel-route", "x-flywheel-inference-id")


@dataclass(frozen=True)
class GatewayAnswer:
    """What the headers of an answer say of it."""

    release: str
    route: str
    inference_id: str


@dataclass(frozen=True)
class GatewayClient:
    """Ask about simulated reports; no request is repeated, so that each failure is seen."""

    client: "openai.OpenAI"
    workload_id: str

    @classmethod
    @contextmanager
    def open(cls, url: str, key: str, workload_id: str) -> "Iterator[GatewayClient]":
        """Open a client of the gateway at an address.

        Args:
            url: of the gateway, without ``/v1``.
            key: of the client.
            workload_id: the model that is asked.
        """
        import openai

        with openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=60) as client:
            yield cls(client, workload_id)

    def ask(self, call: "SimulatedCall") -> GatewayAnswer:
        """Ask about one report; errors are those of OpenAI's client."""
        raw = self.client.chat.completions.with_raw_response.create(
            model=self.workload_id,
            messages=[{"role": "user", "content": call.text}],
            user=str(call.subject_id),
        )
        return GatewayAnswer(*(raw.headers[name] for name in _HEADERS))

"""`ForeignCall`: what a record of another log says about one call of a model."""

from dataclasses import dataclass, field
from typing import Any

__all__ = ["ForeignCall"]


@dataclass(frozen=True)
class ForeignCall:
    """One call, as an OpenAI chat request and response.

    ``response`` is None where the call failed without one; ``error`` says why it failed. ``times``
    are what may be its time, the best first, as the record writes them. ``event_fields`` are those
    of our own event that the record states itself.
    """

    format: str
    request: dict[str, Any]
    response: dict[str, Any] | None
    error: str | None = None
    times: tuple[Any, ...] = ()
    model: str | None = None
    client_id: str | None = None
    workload_id: str | None = None
    trace_id: str | None = None
    conversation_id: str | None = None
    subject: str | None = None
    latency_ms: float | None = None
    event_fields: dict[str, Any] = field(default_factory=dict)

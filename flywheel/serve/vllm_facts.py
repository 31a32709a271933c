"""What a vLLM says of itself, for `flywheel doctor`."""

from dataclasses import dataclass

from flywheel.errors import ConfigurationError
from flywheel.ports.model_server import base_alias
from flywheel.serve.vllm_client import VllmClient

__all__ = ["VllmFacts", "inspect_vllm"]


@dataclass(frozen=True)
class VllmFacts:
    """Version, names of the base and of the adapters; ``closed``: strangers are turned away."""

    version: str
    bases: tuple[str, ...]
    adapters: tuple[str, ...]
    closed: bool

    def serves(self, digest: str) -> bool:
        """Return whether this is the vLLM of a base model."""
        return base_alias(digest) in self.bases


def inspect_vllm(url: str, token: str | None, *, timeout_seconds: float) -> VllmFacts:
    """Ask a vLLM what it serves; nothing is changed.

    Raises:
        UnavailableError: it does not answer.
        ConfigurationError: it refuses the token.
    """
    client = VllmClient(url, token, connections=1, timeout_seconds=timeout_seconds)
    stranger = VllmClient(url, None, connections=1, timeout_seconds=timeout_seconds)
    try:
        models = client.models()
        return VllmFacts(
            version=str(client.get("/version")["version"]),
            bases=models.bases,
            adapters=tuple(models.adapters),
            closed=_turned_away(stranger),
        )
    finally:
        client.close()
        stranger.close()


def _turned_away(stranger: VllmClient) -> bool:
    # Without authentication, the empty request is refused for its content instead.
    try:
        stranger.send("POST", "/adapters", {})
    except ConfigurationError:
        return True
    return False

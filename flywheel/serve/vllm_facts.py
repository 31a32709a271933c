"""What a vLLM says of itself, for `flywheel doctor`, and how one is started for a base."""

from collections.abc import Sequence
from dataclasses import dataclass

from flywheel.artifacts.base_folder import BaseModel
from flywheel.errors import (
    ConfigurationError,
    FlywheelError,
    IntegrityError,
    UnavailableError,
    UnservedBaseError,
)
from flywheel.ports.model_server import BASE_RELEASE, base_alias
from flywheel.serve.vllm_client import ServedModels, VllmClient

__all__ = ["VllmFacts", "how_to_serve", "inspect_vllm", "require_served"]


@dataclass(frozen=True)
class VllmFacts:
    """Version and models; ``closed``: strangers are turned away."""

    version: str
    models: ServedModels
    closed: bool


def inspect_vllm(url: str, token: str | None, *, timeout_seconds: float) -> VllmFacts:
    """Ask a vLLM what it serves; nothing is changed.

    Raises:
        UnavailableError: it does not answer.
        ConfigurationError: it refuses the token.
    """
    client = VllmClient(url, token, connections=1, timeout_seconds=timeout_seconds)
    stranger = VllmClient(url, None, connections=1, timeout_seconds=timeout_seconds)
    try:
        return VllmFacts(
            version=str(client.get("/version")["version"]),
            models=client.models(),
            closed=_turned_away(stranger),
        )
    finally:
        client.close()
        stranger.close()


def require_served(
    base: BaseModel, urls: Sequence[str], token: str | None, *, timeout_seconds: float = 10.0
) -> None:
    """Raise where no vLLM of these addresses serves a base; nothing is loaded.

    Raises:
        UnservedBaseError: every one answers, and none serves it.
        ConfigurationError: none serves it, and one refuses the token.
        IntegrityError: none serves it, and one has its name and another base's folder.
        UnavailableError: none that answers serves it, and others are away.
    """
    served: list[str] = []
    away: list[str] = []
    refusals: list[FlywheelError] = []
    for url in urls:
        client = VllmClient(url, token, connections=1, timeout_seconds=timeout_seconds)
        try:
            models = client.models()
            if models.serves(base.digest):
                return
            served.append(f"{url} serves {', '.join(sorted(models.bases))}")
        except UnavailableError as error:
            away.append(error.message)
        except (ConfigurationError, IntegrityError) as error:  # another address may serve it
            refusals.append(error)
        finally:
            client.close()
    if refusals:
        raise refusals[0]
    message = (
        f"No vLLM serves the base model {base.name} ({base.digest[:12]}): "
        f"{'; '.join([*served, *away])}."
    )
    step = how_to_serve(base.name, base.digest)
    if away:
        raise UnavailableError(message, next_step=f"start what is away; if none serves it, {step}")
    raise UnservedBaseError(message, next_step=step)


def how_to_serve(name: str, digest: str) -> str:
    """Return what to do where no vLLM serves a base model."""
    return (
        f"start one for {name}: `FLYWHEEL_VLLM_BASES={digest[:12]} flywheel services up vllm`; or name your "
        "own in FLYWHEEL_VLLM_URL beside the others, separated by commas, started with "
        f"--served-model-name {BASE_RELEASE} {base_alias(digest)}"
    )


def _turned_away(stranger: VllmClient) -> bool:
    # Without authentication, the empty request is refused for its content instead.
    try:
        stranger.send("POST", "/adapters", {})
    except ConfigurationError:
        return True
    return False

"""A real vLLM on the micro base, as small as it goes."""

import secrets

from flywheel.services import Application, Services
from flywheel.services.vllm import ServingNeeds, vllm_application
from flywheel.settings import load_settings
from tests.fakes.micro_base import micro_base

__all__ = ["micro_vllm"]


def micro_vllm(services: Services) -> Application:
    """Describe a vLLM beside the services of a set."""
    return vllm_application(
        micro_base().folder,
        ServingNeeds(rank=16, adapters=4, context=100_000),
        folder=services.folder / "vllm",
        port=services.port("vllm", 0),
        token=secrets.token_hex(16),
        cache=load_settings(profile="embedded").cache,
        cache_gb=0.25,
    )

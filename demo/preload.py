"""`preloading`: what the demo asks for later is imported while something else is waited for."""

import importlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

__all__ = ["preloading"]

# Model server, registry, drift report, gateway and its clients: seconds of one core.
_LATER = (
    "llguidance.hf",
    "transformers.models.auto.modeling_auto",
    "transformers.models.llama.modeling_llama",
    "mlflow",
    "evidently",
    "evidently.presets",
    "flywheel.usecases.gateway",
    "openai",
)


@contextmanager
def preloading() -> Iterator[None]:
    """Import it in a thread; the block ends when both it and the imports are done."""
    with ThreadPoolExecutor(1, thread_name_prefix="preload") as pool:
        loaded = pool.submit(_import_all)
        yield
        loaded.result()


def _import_all() -> None:
    for name in _LATER:
        importlib.import_module(name)

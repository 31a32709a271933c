"""PyTorch's compiler, left out of imports where nothing would be compiled.

bitsandbytes hands functions to `torch.compile` as it is imported, for devices that have no kernels
of its own. That loads the whole compiler, a tenth of what a training imports. CPUs have kernels of
their own, so that these functions are never called there.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_compiler"]

_DISABLED = "TORCHDYNAMO_DISABLE"


@contextmanager
def without_compiler() -> Iterator[None]:
    """Let `torch.compile` return functions as they are, on machines without an accelerator.

    For imports: what is compiled after it is compiled as usual. Where the variable is set already,
    it stays as it is.
    """
    import torch

    if _DISABLED in os.environ or torch.accelerator.is_available():
        yield
        return
    os.environ[_DISABLED] = "1"
    try:
        yield
    finally:
        del os.environ[_DISABLED]

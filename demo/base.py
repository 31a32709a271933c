"""The demo's base model, built by a process of its own: `python -m demo.base`.

The demo starts it first, and imports its own libraries meanwhile.
"""

import atexit
import subprocess
import sys

from flywheel.settings import load_settings
from flywheel.simulation.traffic import pretraining_texts
from flywheel.wiring import Platform

__all__ = ["base_texts", "start_building"]

_TEXTS = 6000
_SEED = 7


def base_texts() -> list[str]:
    """Return the unlabeled reports that the base is pre-trained on."""
    return pretraining_texts(count=_TEXTS, seed=_SEED)


def start_building(workload_id: str) -> "subprocess.Popen[bytes]":
    """Start the build of a workload's base, and return its process.

    What goes wrong in it is not told: the demo finds no base then, and builds it itself, with every
    error.
    """
    child = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "demo.base", workload_id],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    atexit.register(child.terminate)
    return child


def _build(workload_id: str) -> None:
    platform = Platform(load_settings())
    platform.build_base(platform.workload(workload_id), base_texts())


if __name__ == "__main__":
    _build(sys.argv[1])

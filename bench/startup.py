"""How long the package and the code location take to load."""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.ratio import Ratio

__all__ = ["measure"]

_REPOSITORY = Path(__file__).parent.parent
_ROUNDS = 7


def measure() -> list[Ratio]:
    """Time bare and full imports in turn, each in a fresh interpreter."""
    codes = ["pass", "import flywheel", "import dagster", "import definitions"]
    taken: dict[str, list[float]] = {code: [] for code in codes}
    for _ in range(_ROUNDS):
        for code in codes:
            taken[code].append(_seconds(code))
    median = {code: statistics.median(values) for code, values in taken.items()}
    own = median["import flywheel"] - median["pass"]
    return [
        Ratio(
            name="import definitions / import dagster",
            measured=median["import definitions"],
            anchor=median["import dagster"],
            unit="s",
            aim="at most 1.3",
            good=median["import definitions"] <= 1.3 * median["import dagster"],
        ),
        Ratio(
            name="import flywheel / bare interpreter",
            measured=median["import flywheel"],
            anchor=median["pass"],
            unit="s",
            aim="under 0.3 s more",
            good=own < 0.3,  # noqa: PLR2004 - the aim
        ),
    ]


def _seconds(code: str) -> float:
    environment = os.environ | {"FLYWHEEL_WORKLOADS": str(_REPOSITORY / "deploy" / "workloads")}
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=_REPOSITORY, env=environment, check=True)  # noqa: S603
    return time.perf_counter() - started

"""What Dagster adds to the loop: wall time around the assets over wall time of the whole demo."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.ratio import Ratio

__all__ = ["measure"]

_REPOSITORY = Path(__file__).parent.parent
_AIM = 0.05


def measure() -> list[Ratio]:
    """Play the demo in a folder of its own, with the cached base model."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, "-m", "demo", "--json"],
            cwd=_REPOSITORY,
            env=os.environ | {"FLYWHEEL_HOME": str(Path(home) / "home")},
            capture_output=True,
            text=True,
            check=True,
        )
    seconds = json.loads(done.stdout)["seconds"]
    around, total = seconds["(of all: Dagster around the assets)"], seconds["total"]
    return [
        Ratio(
            name="Dagster around the assets / the whole demo",
            measured=around,
            anchor=total,
            unit="s",
            aim="at most 0.05",
            good=around <= _AIM * total,
        )
    ]

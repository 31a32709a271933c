"""Near-duplicates against an exact hash pass over the same texts: processor seconds."""

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.ratio import Ratio
from flywheel.similarity.near_duplicates import NearDuplicates, closest_matches
from flywheel.similarity.normal_form import normalize
from flywheel.simulation.traffic import generate
from flywheel.workload.files import load_workload

__all__ = ["measure"]

_WORKLOAD = Path(__file__).parent.parent / "deploy" / "workloads" / "defect_reports.yaml"
_TEXTS, _SOME = 20_000, 2_000
_THRESHOLD = 0.85
_ROUNDS = 3
_AIM = 3.0


def measure() -> list[Ratio]:
    """Measure what tells near-duplicates apart, and the hash pass, in turn."""
    start = datetime(2026, 5, 1, tzinfo=UTC)
    calls = generate(
        load_workload(_WORKLOAD), start=start, end=start + timedelta(days=1), per_day=_TEXTS, seed=1
    )
    texts = [call.text for call in calls]
    some = [(str(number), text) for number, text in enumerate(texts[:_SOME])]
    steps: dict[str, Callable[[], object]] = {
        "hash": lambda: _exact(texts),
        "near": lambda: _near(texts),
        "hash of some": lambda: _exact(texts[:_SOME]),
        "closest": lambda: closest_matches(texts[-_SOME:], some, _THRESHOLD),
    }
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(_ROUNDS):
        for name, step in steps.items():
            started = time.process_time()
            step()
            taken[name].append(time.process_time() - started)
    median = {name: statistics.median(values) for name, values in taken.items()}
    distinct = len({normalize(text) for text in texts})
    return [
        Ratio(
            f"near-duplicates of {len(texts):,} texts ({distinct:,} distinct) / exact hash pass",
            median["near"],
            median["hash"],
            "s CPU",
            f"at most {_AIM}",
            median["near"] <= _AIM * median["hash"],
        ),
        Ratio(
            f"closest of {_SOME:,} for each of {_SOME:,} texts, every pair compared / hash pass",
            median["closest"],
            median["hash of some"],
            "s CPU",
            "reported",
            good=True,
        ),
    ]


def _exact(texts: list[str]) -> int:
    first: dict[str, int] = {}
    for number, text in enumerate(texts):
        first.setdefault(normalize(text), number)
    return len(first)


def _near(texts: list[str]) -> int:
    seen = NearDuplicates(_THRESHOLD)
    repeats = 0
    for number, text in enumerate(texts):
        if seen.find(text) is None:
            seen.add(str(number), text)
        else:
            repeats += 1
    return repeats

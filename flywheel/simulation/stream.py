"""A labeled file replayed as traffic: synthetic times, texts in the file's shuffled order."""

import random
from datetime import UTC, datetime

from flywheel.events import event_id
from flywheel.simulation.labeled import LabeledRow
from flywheel.simulation.traffic import SimulatedCall
from flywheel.workload.periods import next_period_start

__all__ = ["FIRST_QUARTER", "quarter_bounds", "replayed_calls"]

# The file has no times of its own: these are made up, and the client says so.
FIRST_QUARTER = datetime(2025, 1, 1, tzinfo=UTC)
_CLIENT = "simulated:replay"


def quarter_bounds(number: int) -> tuple[datetime, datetime]:
    """Return start and end of the simulated quarter ``number``, counted from 1."""
    start = FIRST_QUARTER
    for _ in range(number - 1):
        start = next_period_start("quarterly", start)
    return start, next_period_start("quarterly", start)


def replayed_calls(rows: list[LabeledRow], *, quarter: int, seed: int) -> list[SimulatedCall]:
    """Spread the rows of one quarter evenly over it; the same seed gives the same ids."""
    start, end = quarter_bounds(quarter)
    rng = random.Random(f"replay:{seed}:{quarter}")  # noqa: S311 - reproducible, not secret
    step = (end - start) / (len(rows) + 1)
    calls = []
    for number, row in enumerate(rows, start=1):
        moment = start + step * number
        calls.append(
            SimulatedCall(
                inference_id=event_id(moment, rng),
                timestamp=moment,
                client_id=_CLIENT,
                subject_id=None,
                line="",
                text=row.text,
                truth=row.truth,
            )
        )
    return calls

"""The demo's traffic: who reported what, when; deterministic by seed, with drift to understand.

The truth travels beside the text in ``SimulatedCall`` and never enters an event; ``truth`` keeps
it for the simulated annotators. Days are generated independently, so that a range asked for in
pieces equals the range asked for at once.
"""

import hashlib
import hmac
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flywheel.events import event_id
from flywheel.io.records import JsonObject
from flywheel.simulation import phrases
from flywheel.simulation.grammar import CATEGORIES, Mixture, Report, compose
from flywheel.workload.model import Workload

__all__ = [
    "DEMO_DRIFT",
    "DriftSchedule",
    "LabeledText",
    "SimulatedCall",
    "generate",
    "pretraining_texts",
    "seed_labels_of",
]

_NEW_LINE_SITE = "plant-brno"
_REPORTERS_PER_SITE = 25
# Reports are written during two shifts.
_FIRST_HOUR, _LAST_HOUR = 6, 22


@dataclass(frozen=True)
class SimulatedCall:
    """One report on its way to the model; ``truth`` is for simulated people only."""

    inference_id: str
    timestamp: datetime
    client_id: str
    subject_id: str | None
    line: str
    text: str
    truth: Any


@dataclass(frozen=True)
class LabeledText:
    """One row of a labeled file."""

    text: str
    output: dict[str, Any]


@dataclass(frozen=True)
class DriftSchedule:
    """When the world changes, how fast, and how far.

    ``new_line`` is the share of reports that the new product line reaches after ``ramp_days``,
    ``surge`` the share of the old category that becomes frequent.
    """

    start: datetime
    ramp_days: int = 10
    new_line: float = 0.35
    surge: float = 0.12

    def mixture(self, moment: datetime) -> Mixture:
        """Return the mixture of reports at a moment."""
        days = (moment - self.start) / timedelta(days=1)
        progress = min(max(days / max(self.ramp_days, 1), 0.0), 1.0)
        return Mixture(self.new_line * progress, self.surge * progress)


DEMO_DRIFT = DriftSchedule(start=datetime(2026, 5, 15, tzinfo=UTC))


def generate(
    workload: Workload,
    *,
    start: datetime,
    end: datetime,
    per_day: float,
    seed: int,
    drift: DriftSchedule | None = DEMO_DRIFT,
) -> list[SimulatedCall]:
    """Return the reports of ``[start, end)`` in order of time.

    Args:
        workload: whose traffic it is; its id is part of the randomness.
        start: first moment, UTC.
        end: first moment after the period.
        per_day: mean number of reports a day (a day varies by a tenth).
        seed: same seed, same reports.
        drift: when the world changes; None for a world that stays.
    """
    day = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    calls: list[SimulatedCall] = []
    while day < end:
        calls += _day(f"{seed}:{workload.id}", day, per_day, drift)
        day += timedelta(days=1)
    return [call for call in calls if start <= call.timestamp < end]


def seed_labels_of(*, count: int, seed: int) -> list[LabeledText]:
    """Return the labeled file that the first cycle starts from, balanced over the categories.

    It knows the first product line only, as a file written last year would.
    """
    rng = random.Random(f"labelled:{seed}")  # noqa: S311 - a simulation, not a secret
    order = [CATEGORIES[number % len(CATEGORIES)] for number in range(count)]
    rng.shuffle(order)
    reports = (compose(rng, Mixture(), category=category) for category in order)
    return [LabeledText(report.text, _output(report)) for report in reports]


def pretraining_texts(*, count: int, seed: int) -> list[str]:
    """Return unlabeled reports from before the new product line, for the tiny base model."""
    rng = random.Random(f"pretraining:{seed}")  # noqa: S311
    return [compose(rng, Mixture()).text for _ in range(count)]


def _day(
    seed: str, day: datetime, per_day: float, drift: DriftSchedule | None
) -> Iterator[SimulatedCall]:
    rng = random.Random(f"{seed}:{day:%Y-%m-%d}")  # noqa: S311
    count = round(per_day * rng.uniform(0.9, 1.1))
    span = (_LAST_HOUR - _FIRST_HOUR) * 3600
    seconds = sorted(rng.uniform(0, span) for _ in range(count))
    for second in seconds:
        moment = day + timedelta(hours=_FIRST_HOUR, milliseconds=round(second * 1000))
        report = compose(rng, drift.mixture(moment) if drift else Mixture())
        client = _client(rng, report)
        reporter = f"{client}/{rng.randrange(_REPORTERS_PER_SITE)}"
        yield SimulatedCall(
            inference_id=event_id(moment, rng),
            timestamp=moment,
            client_id=client,
            subject_id=hmac.new(b"simulated", reporter.encode(), hashlib.sha256).hexdigest()[:16],
            line=report.line,
            text=report.text,
            truth=_output(report),
        )


def _client(rng: random.Random, report: Report) -> str:
    if report.line == "batteries":
        return _NEW_LINE_SITE
    return rng.choices(list(phrases.SITES), weights=list(phrases.SITES.values()))[0]


def _output(report: Report) -> JsonObject:
    return {"category": report.category, "urgency": report.urgency}

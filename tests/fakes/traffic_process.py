"""Program that tests start: one of several producers of a deployment's traffic.

Half a month up to now, whose last days differ from the rest: other words, another client, less
sure answers. Some events are sent twice and some records are broken, as happens in production.
Arguments: this producer's number, number of producers. The rest comes from ``FLYWHEEL_*``.
"""

import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from flywheel.events import INFERENCES_TOPIC, encode, event_id
from flywheel.ports.model_server import Answer
from flywheel.simulation.client import inference_event
from flywheel.simulation.traffic import SimulatedCall
from flywheel.wiring import open_platform
from flywheel.workload.model import Workload
from tests.fakes.micro_base import labeled

PER_DAY = 40
STABLE_DAYS = 9
DRIFTED_DAYS = 3
BATCH = 20

__all__ = ["DRIFTED_DAYS", "PER_DAY", "STABLE_DAYS", "expected"]


def expected(producers: int) -> tuple[int, int, int]:
    """Return how many distinct events, doubles and broken records the producers send together."""
    shares = [
        len(range(number, (STABLE_DAYS + DRIFTED_DAYS) * PER_DAY, producers))
        for number in range(producers)
    ]
    batches = sum(-(-share // BATCH) for share in shares)
    return sum(shares), batches, batches


def calls(now: datetime) -> Iterator[tuple[SimulatedCall, Answer]]:
    """Yield what was asked and answered, oldest first; the same at every call on one day."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    first = today - timedelta(days=STABLE_DAYS + DRIFTED_DAYS)
    texts = labeled(PER_DAY)
    for day in range(STABLE_DAYS + DRIFTED_DAYS):
        rng = random.Random(f"{first:%Y-%m-%d}:{day}")  # noqa: S311 - reproducible, not secret
        for number, (text, label) in enumerate(texts):
            moment = first + timedelta(days=day, minutes=30 * number + rng.randrange(20))
            yield _call(moment, rng, text, label, drifted=day >= STABLE_DAYS)


def _call(
    moment: datetime, rng: random.Random, text: str, label: str, *, drifted: bool
) -> tuple[SimulatedCall, Answer]:
    if drifted:
        text = f"busbar of the battery pack module glows since the laser welding of cell {text}"
    call = SimulatedCall(
        inference_id=event_id(moment, rng),
        timestamp=moment,
        client_id="simulated:plant-brno" if drifted else "simulated:press-shop",
        subject_id=None,
        line="",
        text=f"{text}, shift {rng.randrange(3)}",
        truth=label,
    )
    confidence = rng.uniform(0.3, 0.5) if drifted else rng.uniform(0.8, 0.99)
    return call, Answer(label, label, confidence, rng.uniform(0.02, 0.04), 20, 2)


def main() -> None:
    """Send this producer's share in small batches, so that producers come between each other."""
    number, producers = int(sys.argv[1]), int(sys.argv[2])
    platform = open_platform()
    [workload] = platform.workloads.values()
    release = platform.state.routes.champion(workload.id)
    records = [
        _record(call, answer, workload, release)
        for place, (call, answer) in enumerate(calls(datetime.now(UTC)))
        if place % producers == number
    ]
    platform.log.create_topic(INFERENCES_TOPIC, partitions=2)
    for start in range(0, len(records), BATCH):
        batch = records[start : start + BATCH]
        platform.log.append(INFERENCES_TOPIC, [*batch, batch[0], (b"broken", b"{")])


def _record(
    call: SimulatedCall, answer: Answer, workload: Workload, release: str
) -> tuple[bytes, bytes]:
    event = inference_event(call, answer, workload=workload, release=release, base_model="tiny")
    return event.inference_id.encode(), encode(event)


if __name__ == "__main__":
    main()

"""The same log on the embedded backends: what they make of it must be the same dataset."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flywheel.clock import ManualClock
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC
from flywheel.settings import load_settings
from flywheel.simulation.annotators import SimulatedAnnotators
from flywheel.simulation.truth import SimulatedTruth
from flywheel.usecases.cycle import assemble_dataset
from flywheel.usecases.landing import land
from flywheel.usecases.observe import collect_reviews, sample_reviews
from flywheel.wiring import Platform
from flywheel.workload.model import Workload
from loop.browser import PERSON, ByHand
from loop.client import Sent
from loop.stage import SEED, Sizes, seed_labels

__all__ = ["Lived", "embedded_dataset_hash"]


@dataclass(frozen=True)
class Lived:
    """What the world did to the deployment on services, and does again here.

    ``sent`` is what the producers sent, ``chosen_at`` when it was chosen what people review,
    ``by_hand`` the judgment that was given in a browser.
    """

    sizes: Sizes
    sent: Sent
    chosen_at: datetime
    by_hand: ByHand | None


def embedded_dataset_hash(
    home: Path, real: Platform, workload: Workload, lived: Lived, *, show: Callable[[str], None]
) -> str:
    """Land the same messages without a service, let the same people judge, return the hash.

    Args:
        home: an empty folder.
        real: the deployment on services, whose workload file and simulated truth are used.
        workload: as the cycle was opened with.
        lived: what happened there.
        show: told what goes on.
    """
    settings = load_settings(
        profile="embedded",
        home=home,
        workloads=real.settings.workload_folder,
        cache=real.settings.cache,
        event_log="sqlite",
        review_queue="local",
        train_launcher="subprocess",
        model_server="local",
        state_url=None,
        mlflow_url=None,
        dagster_url=None,
    )
    platform = Platform(settings, ManualClock(lived.chosen_at))
    try:
        show("landing the same events in an embedded deployment")
        seed_labels(platform, workload, lived.sizes, lived.chosen_at)
        for topic in (INFERENCES_TOPIC, FEEDBACK_TOPIC):
            platform.log.create_topic(topic, partitions=1)
        platform.log.append(INFERENCES_TOPIC, lived.sent.messages)
        land(platform)
        sample_reviews(platform, workload)
        show("judging the same answers in the embedded queue")
        people = SimulatedAnnotators(
            platform.queue, SimulatedTruth(real.home, workload.id), error_rate=0.0, seed=SEED
        )
        if lived.by_hand is not None:
            by_hand = lived.by_hand
            platform.queue.submit(workload, by_hand.item_id, PERSON, by_hand.output)
        while people.answer_open(workload):
            collect_reviews(platform, workload)
        cycle = platform.state.cycles.open(
            workload,
            trigger="volume",
            opened_by="system",
            reason="the same turn, embedded",
            watermark=lived.chosen_at,
            snapshot=workload.model_dump(mode="json", by_alias=True),
        )
        return assemble_dataset(platform, workload.id, cycle.name).hash
    finally:
        platform.close()

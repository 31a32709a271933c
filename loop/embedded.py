"""The same log on the embedded backends: what they make of it must be the same dataset."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.clock import ManualClock
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC
from flywheel.ports.topics import ensure_topic
from flywheel.settings import load_settings
from flywheel.usecases.cycle import assemble_dataset, open_cycle
from flywheel.usecases.landing import land
from flywheel.usecases.observe import collect_reviews, sample_reviews
from flywheel.wiring import Platform
from loop.browser import PERSON, ByHand
from loop.people import knowing_people
from loop.stage import Sizes, seed_labels

__all__ = ["Lived", "embedded_dataset_hash"]


@dataclass(frozen=True)
class Lived:
    """What the world did to the deployment on services, and does again here.

    ``messages`` are what the producers sent, ``chosen_at`` when it was chosen what people review,
    ``by_hand`` the judgment that was given in a browser.
    """

    sizes: Sizes
    messages: list[tuple[bytes, bytes]]
    chosen_at: datetime
    by_hand: ByHand | None


def embedded_dataset_hash(
    home: Path, real: Platform, opened: OpenedWorkload, lived: Lived, *, show: Callable[[str], None]
) -> str:
    """Land the same messages without a service, let the same people judge, return the hash.

    Args:
        home: an empty folder.
        real: the deployment on services, whose workload file and simulated truth are used.
        opened: the cycle there, with its workload.
        lived: what happened there.
        show: receives progress lines.
    """
    workload = opened.workload  # in that deployment its file says so now
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
        seed_labels(platform, workload, lived.sizes)
        for topic in (INFERENCES_TOPIC, FEEDBACK_TOPIC):
            ensure_topic(platform.log, topic, partitions=1)
        platform.log.append(INFERENCES_TOPIC, lived.messages)
        land(platform)
        sample_reviews(platform, workload)
        show("judging the same answers in the embedded queue")
        people = knowing_people(platform, workload, truth_home=real.home)
        if lived.by_hand is not None:
            by_hand = lived.by_hand
            platform.desk.submit(workload, by_hand.item_id, PERSON, by_hand.output)
        while people.answer_open(workload):
            collect_reviews(platform, workload)
        cycle = open_cycle(platform, workload, trigger="volume", reason="the same turn, embedded")
        return assemble_dataset(platform, cycle.ref).hash
    finally:
        platform.close()

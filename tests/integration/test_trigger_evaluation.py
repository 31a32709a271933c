"""The trigger is looked at again when something has happened that could move it."""

from dataclasses import replace

import pytest

from flywheel.review.sampling.sent_items import item_rows, read_sent
from flywheel.usecases.landing import land
from flywheel.usecases.observe import collect_reviews, decide, evaluation_is_due, sample_reviews
from tests.fakes.dagster_instance import instance_like_ours
from tests.fakes.turn_world import TurnWorld


@pytest.fixture
def world(tmp_path):
    """Return a deployment whose people have questions, evaluated a moment ago."""
    with instance_like_ours() as instance:
        world = TurnWorld(
            tmp_path / "home",
            instance,
            workload={"cadence": "yearly", "review": {"budget": 10_000}},
        )
        world.import_seed()
        world.send(60)
        world.move(days=2)
        land(world.platform)
        assert sample_reviews(world.platform, world.workload).batches
        decide(world.platform, world.workload)
        world.move(seconds=1)
        yield world
        world.close()


def due(world) -> bool:
    return evaluation_is_due(world.platform, world.workload)


def test_finished_batch_is_looked_at_once(world):
    """When the last question is answered, and not again afterwards."""
    assert not due(world)
    world.annotate()
    world.move(seconds=1)
    collect_reviews(world.platform, world.workload)
    world.move(seconds=1)
    assert due(world)
    decide(world.platform, world.workload)
    assert not due(world)


def test_half_a_batch_is_no_news(world):
    """The number of corrections in the middle of a batch says little."""
    people = world.annotate(limit=1)
    assert people == 1
    world.move(seconds=1)
    collect_reviews(world.platform, world.workload)
    world.move(seconds=1)
    assert not due(world)


def test_an_open_known_answer_keeps_nothing_waiting(world):
    """A gold item brings no correction, so that a batch is finished without it."""
    known = read_sent(world.platform.lake, world.workload.id)[0]
    item = replace(known.item, item_id="known", slice="gold", judgments=1)
    rows = item_rows([item], {item.inference_id: known.event_time})
    world.platform.lake.append("review_items", rows)
    world.annotate()
    world.move(seconds=1)
    collect_reviews(world.platform, world.workload)
    world.move(seconds=1)
    assert due(world)


def test_an_open_label_check_keeps_nothing_waiting(world):
    """It is asked when everybody has finished, of an answer that is accepted already."""
    root = read_sent(world.platform.lake, world.workload.id)[0]
    item = replace(
        root.item,
        item_id=f"{root.item.item_id}-adjudication",
        batch_id="2026-labels",
        batch_kind="labels",
        disputed_item_id=root.item.item_id,
        slice="adjudication",
        judgments=1,
    )
    world.annotate()
    world.platform.lake.append(
        "review_items", item_rows([item], {item.inference_id: root.event_time})
    )
    world.move(seconds=1)
    collect_reviews(world.platform, world.workload)
    world.move(seconds=1)
    assert due(world)


def test_an_open_second_judgment_of_a_doubtful_answer_keeps_nothing_waiting(world):
    """It is asked when the first one is given, of an answer that is accepted already."""
    single = next(
        entry
        for entry in read_sent(world.platform.lake, world.workload.id)
        if entry.item.judgments == 1
    )
    world.annotate()
    again = replace(single.item, judgments=2, chosen_at=world.platform.clock.now())
    world.platform.lake.append(
        "review_items", item_rows([again], {again.inference_id: single.event_time})
    )
    world.move(seconds=1)
    collect_reviews(world.platform, world.workload)
    world.move(seconds=1)
    assert due(world)


def test_hour_that_has_passed_is_enough(world):
    """Whatever has happened, the trigger is evaluated every hour."""
    world.move(hours=1)
    assert due(world)

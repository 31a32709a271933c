"""What a judge is asked while a day is sampled, and that nothing waits for it or counts it."""

import logging
from datetime import timedelta
from types import SimpleNamespace

from flywheel.review.queues.local_queue import LocalReviewQueue
from flywheel.review.sampling.doubted import DOUBTED
from flywheel.usecases.judging.calibration import calibrate_judge
from flywheel.usecases.judging.daily import ask_daily
from flywheel.usecases.observe import push_reviews, sample_reviews
from tests.fakes.judge_world import MONDAY, JudgeWorld
from tests.fakes.review_world import classification

DAY = timedelta(days=1)


def platform_of(world):
    """Return what sampling needs of a platform, beside the judge's world."""
    return SimpleNamespace(
        lake=world.lake,
        clock=world.clock,
        home=world.home,
        queue=LocalReviewQueue(world.home / "queue", world.clock),
        state=SimpleNamespace(
            releases=SimpleNamespace(of=lambda _: []),
            routes=SimpleNamespace(answering=lambda _: frozenset({"base"})),
            stages=SimpleNamespace(current=lambda _: None),
        ),
    )


def pushed(world, workload):
    """Land a day, sample it and return its items, most urgent first."""
    world.traffic(range(140))
    world.clock.move_to(MONDAY + DAY)
    push_reviews(platform_of(world), workload, since=MONDAY, until=MONDAY + DAY, budget=60)
    return world.lake.rows("SELECT * FROM review_items ORDER BY priority DESC, item_id")


def test_doubted_answers_come_first_and_say_why(world):
    """A judge that was never compared with people orders the queue."""
    items = pushed(world, world.workload)
    doubted = [item for item in items if DOUBTED in item["reason"]]
    rest = [item for item in items if item["slice"] != "control" and item not in doubted]
    numbers = {int(item["inference_id"][1:]) for item in doubted}
    assert doubted
    assert all((number % 10 == 0) != (number % 10 == 3) for number in numbers)
    assert min(item["priority"] for item in doubted) > max(item["priority"] for item in rest)


def test_only_the_order_is_the_judges(world, tmp_path, upstream):
    """The same items as without one; the control slice with place and reason, and unseen by it."""
    items = pushed(world, world.workload)
    other = JudgeWorld(tmp_path / "other", upstream)
    without = pushed(other, classification())
    other.close()
    assert {item["item_id"] for item in items} == {item["item_id"] for item in without}
    control = [item for item in items if item["slice"] == "control"]
    assert control
    assert control == [item for item in without if item["slice"] == "control"]
    shown = {question["input"] for question in world.questions}
    assert not shown & {item["input"] for item in control}
    assert len(shown) == len(items) - len(control)


def test_a_judge_that_is_away_or_answers_nonsense_stops_nothing(world, upstream, caplog):
    """The queue is what it would be without one, and the log says why."""
    upstream.status = 500
    with caplog.at_level(logging.WARNING):
        items = pushed(world, world.workload)
    assert items
    assert not any(DOUBTED in item["reason"] for item in items)
    assert "The judge of defects was not asked about" in caplog.text
    assert "500" in caplog.text


def test_nonsense_is_no_doubt(world):
    """An answer is doubted where the judge says incorrect, and nowhere else."""
    world.silent = lambda _: True
    assert not any(DOUBTED in item["reason"] for item in pushed(world, world.workload))


def test_a_spent_ration_stops_nothing(world):
    """A few are asked about, the rest waits where it was."""
    world.workload = world.with_judge(per_day=5)
    items = pushed(world, world.workload)
    assert len(world.questions) == 5
    assert len(items) > 40


def test_a_judge_whose_word_does_not_count_is_asked_for_the_queue_alone(world):
    """Answers drawn for the figure would be paid for nothing."""
    world.traffic(range(140))
    world.clock.move_to(MONDAY + DAY)
    ask_daily(world, world.workload)
    assert world.questions == []


def test_a_calibrated_judge_is_asked_about_answers_drawn_at_random(world):
    """Each once, the control slice left out, with what is left of the ration; sampling does it."""
    world.traffic(range(400))
    world.judge_by_people(range(0, 400, 10))
    world.judge_by_people(range(5, 400, 10))
    world.clock.move_to(MONDAY + 3 * DAY)
    calibrate_judge(world, world.workload)
    assert len(world.questions) == 80
    sample_reviews(platform_of(world), world.workload)
    assert len(world.questions) == 200
    shown = [question["input"] for question in world.questions]
    assert len(shown) == len(set(shown))
    world.clock.move_to(MONDAY + 4 * DAY)
    ask_daily(world, world.workload)
    assert len(world.questions) == 400
    ask_daily(world, world.workload)
    assert len(world.questions) == 400

from collections import Counter
from datetime import UTC, datetime

import pytest

from flywheel.clock import ManualClock
from flywheel.errors import ConfigurationError, NotFoundError
from flywheel.ports.review_queue import ReviewItem
from flywheel.review.queues.local_desk import LocalAnswerDesk
from flywheel.review.queues.local_queue import LocalReviewQueue
from flywheel.simulation.annotators import SimulatedAnnotators
from flywheel.simulation.grammar import NEW_CATEGORIES
from flywheel.simulation.truth import SimulatedTruth

NOW = datetime(2026, 6, 12, tzinfo=UTC)


@pytest.fixture
def world(tmp_path, defect_reports, june_calls):
    """Return a queue, its desk and the truth: an item per call, every tenth for two judgments."""
    truth = SimulatedTruth(tmp_path, defect_reports.id)
    truth.remember(june_calls)
    queue = LocalReviewQueue(tmp_path / "queue", ManualClock(NOW))
    queue.push(defect_reports, [_item(n, c) for n, c in enumerate(june_calls[:200])])
    return queue, LocalAnswerDesk(tmp_path / "queue", ManualClock(NOW)), truth


def _item(number, call):
    return ReviewItem(
        item_id=f"item{number:03}",
        batch_id="b",
        workload_id="defect_reports",
        inference_id=call.inference_id,
        slice="uncertain",
        reason="unsure",
        score=0.5,
        inclusion_probability=None,
        input=call.text,
        model_output={"category": "dent", "urgency": "low"},
        confidence=0.5,
        release="base",
        judgments=2 if number % 10 == 0 else 1,
        priority=1.0,
        subject_id=None,
        chosen_at=NOW,
        period="2026Q2",
    )


def _judgments(queue, workload):
    return queue.pull(workload, None).annotations


def test_all_judgments_are_given_and_overlap_goes_to_different_people(world, defect_reports):
    """An item that wants two judgments gets them from two annotators."""
    queue, desk, truth = world
    assert SimulatedAnnotators(desk, truth, seed=1).answer_open(defect_reports) == 220
    pairs = [(a.item_id, a.annotator) for a in _judgments(queue, defect_reports)]
    assert len(pairs) == len(set(pairs)) == 220
    assert Counter(item for item, _ in pairs)["item000"] == 2


def test_without_errors_the_truth_is_told_and_new_categories_are_proposed(world, defect_reports):
    """What the taxonomy lacks is proposed by its true name."""
    queue, desk, truth = world
    SimulatedAnnotators(desk, truth, error_rate=0.0, seed=1).answer_open(defect_reports)
    kinds = Counter()
    for judgment in _judgments(queue, defect_reports):
        kinds[judgment.kind] += 1
        right = truth[judgment.inference_id]
        if judgment.kind == "answer":
            assert judgment.output == right
        if judgment.kind == "new_category":
            assert judgment.proposed_label == right["category"]
            assert judgment.proposed_label in NEW_CATEGORIES
    assert kinds["new_category"] > 20
    assert kinds["answer"] > 100


@pytest.mark.parametrize(("rate", "fewest", "most"), [(0.0, 0, 0), (0.1, 8, 40)])
def test_the_rate_of_those_who_cannot_tell_is_kept(world, defect_reports, rate, fewest, most):
    """Nobody hesitates where everybody is to know; the loop compares two deployments by that."""
    queue, desk, truth = world
    SimulatedAnnotators(desk, truth, unsure_rate=rate, seed=1).answer_open(defect_reports)
    kinds = Counter(judgment.kind for judgment in _judgments(queue, defect_reports))
    assert fewest <= kinds["cant_tell"] <= most


def test_the_error_rate_is_kept(world, defect_reports):
    """A quarter of the judgments get the label wrong when a quarter should."""
    queue, desk, truth = world
    SimulatedAnnotators(desk, truth, error_rate=0.25, seed=1).answer_open(defect_reports)
    wrong = [
        a.kind == "answer" and a.output["category"] != truth[a.inference_id]["category"]
        for a in _judgments(queue, defect_reports)
    ]
    assert 0.17 < sum(wrong) / len(wrong) < 0.33


def test_every_judgment_says_that_it_is_simulated(world, defect_reports):
    """Nobody can take them for a person's."""
    queue, desk, truth = world
    SimulatedAnnotators(desk, truth, seed=1).answer_open(defect_reports)
    assert all(a.simulated for a in _judgments(queue, defect_reports))


def test_a_limit_ends_the_work(world, defect_reports):
    """A budget is kept to the judgment; the rest is answered next time."""
    _, desk, truth = world
    people = SimulatedAnnotators(desk, truth, seed=1)
    assert people.answer_open(defect_reports, limit=15) == 15
    assert people.answer_open(defect_reports) == 205


def test_a_judgment_does_not_depend_on_when_it_is_given(tmp_path, world, defect_reports):
    """Two goes give the same judgments as one."""
    queue, desk, truth = world
    other = LocalReviewQueue(tmp_path / "other", ManualClock(NOW))
    other.push(
        defect_reports,
        [
            _item(n, type("Call", (), {"inference_id": i, "text": "x"}))
            for n, i in enumerate(list(truth)[:200])
        ],
    )
    people = SimulatedAnnotators(desk, truth, seed=1)
    people.answer_open(defect_reports, limit=50)
    people.answer_open(defect_reports)
    other_desk = LocalAnswerDesk(tmp_path / "other", ManualClock(NOW))
    SimulatedAnnotators(other_desk, truth, seed=1).answer_open(defect_reports)

    def told(q):
        return sorted(
            (a.item_id, a.annotator, a.kind, str(a.output)) for a in _judgments(q, defect_reports)
        )

    assert told(queue) == told(other)


def test_names_must_say_simulated(world):
    """A person's name is refused."""
    _, desk, truth = world
    with pytest.raises(ConfigurationError, match="maria"):
        SimulatedAnnotators(desk, truth, names=["maria"])


def test_an_unknown_truth_is_an_error(world, defect_reports):
    """Traffic from elsewhere is never answered by a guess."""
    _, desk, _ = world
    with pytest.raises(NotFoundError, match="no truth"):
        SimulatedAnnotators(desk, {}, seed=1).answer_open(defect_reports)

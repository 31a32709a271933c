"""The margin of an answer, from the lake to the questions that people get."""

import pytest

from flywheel.quality.calibration import Calibration
from flywheel.quality.calibration.isotonic import PointsCurve
from flywheel.review.sampling.batches import sample_batch
from flywheel.review.sampling.candidate_query import CandidateQuery
from flywheel.review.sampling.candidates import read_candidates
from flywheel.review.sampling.windows import ReviewWindow
from tests.fakes.review_world import END, START, answer, classification, put_answers

# Calibrating moves every answer to the same chance: only the runner-up tells them apart then.
FLAT = Calibration("isotonic", 1000, PointsCurve(((0.0, 0.5), (1.0, 0.5))))
SHARES = {"control": 0.0, "uncertain": 1.0, "novel": 0.0, "flagged": 0.0}


def workload(**review):
    """Return a workload that spends all on uncertain answers."""
    return classification(review={"shares": SHARES, "overlap": 0.0, "gold": 0.0} | review)


def sampled(lake, queue, chosen, budget, **calibrations):
    """Return what is asked about, in the order of the queue."""
    plan = {"window_start": START, "window_end": END, "now": END, "budget": budget}
    sample_batch(lake, queue, chosen, **plan, calibrations=calibrations)
    return lake.rows("select inference_id, reason, score from review_items order by priority desc")


def test_candidates_carry_the_margin(lake):
    """An answer with a margin has it as a candidate, one without has none."""
    chosen = workload()
    put_answers(lake, chosen, [answer(0, margin=0.12), answer(1)])
    window = ReviewWindow(
        batch_id="b",
        period="2026Q1",
        start=START,
        end=END,
        frame_start=START,
        landed_through=END,
        budget=2,
        answers=2,
        reason="",
        drawn_at=END,
    )
    found = read_candidates(CandidateQuery(lake, chosen.id, window, late_after=None))
    assert [one.margin for one in found] == [0.12, None]


@pytest.mark.parametrize(
    ("strategy", "expected"), [("smallest_margin", "i00007"), ("least_confident", "i00003")]
)
def test_strategy_of_the_workload_decides(lake, queue, strategy, expected):
    """A closer runner-up comes first by margin, a lower confidence by confidence."""
    chosen = workload(strategy=strategy)
    answers = [answer(n, confidence=0.6, margin=0.4) for n in range(10)]
    answers[7] |= {"margin": 0.25}
    answers[3] |= {"confidence": 0.5, "margin": 0.45}
    put_answers(lake, chosen, answers)
    (asked,) = sampled(lake, queue, chosen, 1)
    assert asked["inference_id"] == expected


def test_reason_names_the_margin_where_there_is_one(lake, queue):
    """An annotator reads how close the second best answer was, and nothing about an unknown one."""
    chosen = workload()
    put_answers(lake, chosen, [answer(0, confidence=0.5, margin=0.1), answer(1, confidence=0.5)])
    reasons = {row["inference_id"]: row["reason"] for row in sampled(lake, queue, chosen, 2)}
    assert reasons["i00000"] == ("confidence 0.50 below 0.85, 0.10 ahead of the second best answer")
    assert reasons["i00001"] == "confidence 0.50 below 0.85"


def test_margins_are_compared_after_calibration(lake, queue):
    """An overconfident release's margins shrink, so that its answers come before a sound one's."""
    chosen = workload(strategy="smallest_margin")
    sure = [answer(n, confidence=0.98, margin=0.97, release="sure") for n in range(4)]
    sound = [answer(n, confidence=0.6, margin=0.4, release="sound") for n in range(4, 8)]
    put_answers(lake, chosen, [*sure, *sound])
    asked = sampled(lake, queue, chosen, 4, sure=FLAT)
    assert {row["inference_id"] for row in asked} == {f"i{n:05d}" for n in range(4)}
    assert {round(1 - row["score"], 2) for row in asked} == {0.25}

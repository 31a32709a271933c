"""Who is asked about: the model that answers now, and its newest complaints."""

from datetime import timedelta

import pytest

from flywheel.review.sampling.batches import sample_batch
from tests.fakes.review_world import (
    END,
    START,
    WEEK,
    answer,
    classification,
    put_answers,
    put_feedback,
    text,
)

CHAMPION = "defects.2026Q1-1.abc"


@pytest.fixture
def promoted(lake, queue):
    """Return a workload whose first week base answered and whose second week the champion did."""
    workload = classification(review={"budget": 4000})
    base = [answer(n, confidence=0.3) for n in range(200)]
    put_answers(lake, workload, base)
    put_feedback(lake, workload, [(f"i{n:05d}", "boolean", False) for n in range(60)])
    sample_batch(
        lake,
        queue,
        workload,
        window_start=START,
        window_end=END,
        now=END,
        budget=20,
        answering={"base"},
    )
    week = [
        answer(n, release=CHAMPION, confidence=0.6, timestamp=END + timedelta(minutes=n))
        for n in range(1000, 1200)
    ]
    week += [
        answer(n, release="base", confidence=0.2, timestamp=END + timedelta(minutes=n))
        for n in range(2000, 2050)
    ]
    put_answers(lake, workload, week, offset=1000, landed_at=END + WEEK)
    return workload


def second_week(lake, queue, workload, budget=120):
    """Sample the second week while the champion answers, and return what is asked."""
    report = sample_batch(
        lake,
        queue,
        workload,
        window_start=END,
        window_end=END + WEEK,
        now=END + WEEK,
        budget=budget,
        answering={CHAMPION},
    )
    return lake.rows(
        "select slice, release, inference_id, reason from review_items where batch_id = ?",
        [report.batch_id],
    )


def test_after_a_promotion_people_are_asked_about_the_champion(lake, queue, promoted):
    """Base's answers, complained about or less sure, are asked only where the control draw says."""
    items = second_week(lake, queue, promoted)
    others = {item["release"] for item in items if item["slice"] != "control"}
    control = {item["release"] for item in items if item["slice"] == "control"}
    assert others == {CHAMPION}
    assert control == {CHAMPION, "base"}


def test_complaints_of_a_retired_release_are_asked_where_the_owner_says_so(lake, queue, promoted):
    """The setting turns expiry off."""
    kept = classification(review={"budget": 4000, "complaints_expire": False})
    items = second_week(lake, queue, kept)
    flagged = [item for item in items if item["slice"] == "flagged"]
    assert flagged
    assert {item["release"] for item in flagged} == {"base"}


def test_a_complaint_stays_where_the_champion_answers_the_same(lake, queue, promoted):
    """Same text, same answer: the fault is still there."""
    asked = {row["inference_id"] for row in lake.rows("select inference_id from review_items")}
    left = [n for n in range(60) if f"i{n:05d}" not in asked]
    same, other = left[0], left[1]
    given = answer(same)["output"]
    again = [
        {**answer(5000, release=CHAMPION, confidence=0.99), "input": text(same), "output": given},
        {**answer(5001, release=CHAMPION, confidence=0.99), "input": text(other), "output": "new"},
        {**answer(5002, release=CHAMPION, error="timeout"), "input": text(other), "output": None},
    ]
    for number, row in enumerate(again):
        row["timestamp"] = END + timedelta(hours=number)
    put_answers(lake, promoted, again, offset=5000, landed_at=END + WEEK)
    items = second_week(lake, queue, promoted, budget=400)
    flagged = [item["inference_id"] for item in items if item["slice"] == "flagged"]
    assert flagged == [f"i{same:05d}"]

import pytest

from flywheel.review.merging.agreement import krippendorff_alpha, review_agreement
from flywheel.review.merging.collect import collect
from flywheel.review.sampling.batches import sample_batch
from tests.fakes.review_world import END, START, answer, classification, put_answers, truth


def test_alpha_agrees_with_the_published_example():
    """Krippendorff's own nominal example (2011, reliability data C) gives 0.743."""
    data = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    ]
    units = [[str(value) for value in unit if value] for unit in zip(*data, strict=True)]
    found = krippendorff_alpha(units)
    assert found.alpha == pytest.approx(0.743, abs=5e-4)
    assert (found.items, found.judgments) == (11, 40)


@pytest.mark.parametrize(
    ("units", "reason"),
    [
        ([], "no item was judged by two people"),
        ([["a"], ["b"]], "no item was judged by two people"),
        ([["a", "a"], ["a", "a"]], "all answers are the same"),
    ],
)
def test_undefined_alpha_is_no_number(units, reason):
    """Where alpha is not defined there is a reason, never 1 or 0."""
    found = krippendorff_alpha(units)
    assert found.alpha is None
    assert reason in found.reason


def test_few_items_give_no_low_agreement():
    """One dispute among a handful of items is no sign of unclear labels; among twenty it may be."""
    pairs = [["a", "a"], ["b", "b"], ["a", "b"]]
    assert not krippendorff_alpha(pairs).is_below(0.667)
    assert krippendorff_alpha(pairs * 7).is_below(0.667)
    assert not krippendorff_alpha([["a", "a"], ["b", "b"]] * 10).is_below(0.667)
    assert not krippendorff_alpha([]).is_below(0.667)


def test_batch_report_counts_people_answers_and_edits(lake, queue, desk):
    """Who answered, what is missing, what was kept and how far people agree."""
    workload = classification(review={"budget": 60, "overlap": 1.0})
    put_answers(lake, workload, [answer(number) for number in range(10)])
    sample_batch(lake, queue, workload, window_start=START, window_end=END, now=END, budget=60)
    tasks = desk.open_items(workload, "ann")
    for task in tasks[:6]:
        number = int(task.inference_id[1:])
        desk.submit(workload, task.item_id, "ann", truth(number))
        desk.submit(workload, task.item_id, "ben", truth(number))
    desk.submit(workload, tasks[6].item_id, "ann", kind="cant_tell")
    collect(lake, queue, workload, now=END)
    overall, batches = review_agreement(lake, workload)
    report = batches["2026Q1-20260101"]
    assert (report.items, report.answered, report.unanswered) == (10, 6, 4)
    assert (report.judgments_wanted, report.judgments_given) == (20, 13)
    assert report.by_annotator == {"ann": 7, "ben": 6}
    shown = [task for task in tasks[:6] if task.suggestion is not None]
    wrong = sum(int(task.inference_id[1:]) % 5 == 0 for task in shown)
    said = 2 * len(shown) + (tasks[6].suggestion is not None)
    assert report.kept == 2 * (len(shown) - wrong)
    assert report.kept + report.edited == said
    assert report.agreement == overall
    assert (overall.alpha, overall.items) == (1.0, 6)


def test_empty_lake_has_no_agreement(lake):
    """Before the first batch there is a reason and no report."""
    overall, batches = review_agreement(lake, classification())
    assert overall.alpha is None
    assert batches == {}

"""The item in which a third person decides a dispute."""

import pytest

from flywheel.review.merging.merge import adjudication_of
from flywheel.review.sampling.draws import blind_priority
from flywheel.review.sampling.sent_items import SentItem
from tests.fakes.review_items import review_item
from tests.fakes.review_world import END, START, classification

WORKLOAD = classification()


def adjudication(number=0, fields=(), **changes):
    """Return the adjudication of one item."""
    item = review_item(WORKLOAD, number, **changes)
    return adjudication_of(SentItem(item, "oil fault", START, 2), END, fields)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ((), "annotators disagree: decide as a third person"),
        (("a", "b"), "annotators disagree on a, b: decide as a third person"),
        (tuple("abcde"), "annotators disagree on a, b, c, d, e: decide as a third person"),
        (tuple("abcdefg"), "annotators disagree on a, b, c, d, e and 2 more: decide as a third person"),
    ],
)  # fmt: skip
def test_reason_names_five_fields_and_counts_the_others(fields, reason):
    """An extraction may have a hundred."""
    assert adjudication(fields=fields).reason == reason


def test_dispute_is_asked_before_everything_else_and_mixed():
    """One person decides, before what is asked blind, in an order of its own."""
    items = [adjudication(number) for number in range(40)]
    assert {(item.judgments, item.score, int(item.priority)) for item in items} == {(1, 1.0, 4)}
    blind = max(blind_priority(WORKLOAD.id, "b", f"i{number}") for number in range(200))
    assert min(item.priority for item in items) > blind
    priorities = [item.priority for item in items]
    assert len(set(priorities)) == 40
    assert priorities not in (sorted(priorities), sorted(priorities)[::-1])


def test_dispute_about_what_is_asked_blind_stays_blind():
    """Only what people saw the confidence of shows it again."""
    shown = adjudication(model_output="oil fault")
    blind = adjudication(slice="control", inclusion_probability=0.2)
    assert (shown.confidence, shown.model_output) == (0.41, "oil fault")
    assert (blind.confidence, blind.model_output, blind.inclusion_probability) == (None,) * 3

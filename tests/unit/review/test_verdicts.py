"""What several judgments on one item amount to."""

from datetime import timedelta

import pytest

from flywheel.ports.review_queue import Annotation
from flywheel.review.merging.verdicts import Judgment, Verdict, decide, read_judgments
from flywheel.workload.label_mapping import AnswerMapping
from tests.fakes.review_world import END, classification

HOUR = timedelta(hours=1)


def judgments(*answers: tuple[str, str | None, int]) -> list[Judgment]:
    """Return judgments of (person, label or None for "cannot tell", hour)."""
    workload = classification()
    annotations = [
        Annotation(
            annotation_id=f"a-{person}-{hour}",
            version="1",
            item_id="item",
            workload_id=workload.id,
            inference_id="i1",
            annotator=person,
            simulated=False,
            kind="cant_tell" if label is None else "answer",
            output=label,
            proposed_label=None,
            seconds=None,
            created_at=END,
            updated_at=END + hour * HOUR,
        )
        for person, label, hour in answers
    ]
    usable, unusable = read_judgments(workload, AnswerMapping(workload), annotations)
    assert unusable == 0
    return usable


DISPUTE = [("ann", "oil fault", 0), ("ben", "heat fault", 0)]


def decided(*adjudications: tuple[str, str | None, int]) -> Verdict:
    """Decide the dispute with these adjudications."""
    return decide(judgments(*DISPUTE), 2, judgments(*adjudications))


@pytest.mark.parametrize(("cleo", "dan"), [(1, 2), (2, 1)])
def test_last_adjudicator_decides(cleo: int, dan: int):
    """Of two who decide the same dispute, the later word counts, whoever they are."""
    verdict = decided(("cleo", "oil fault", cleo), ("dan", "heat fault", dan))
    assert (verdict.status, verdict.adjudicated) == ("accepted", True)
    assert verdict.output == ("heat fault" if dan > cleo else "oil fault")
    assert len(verdict.judgments) == 4


def test_last_adjudicator_may_take_a_decision_back():
    """Who says last that nobody can tell leaves the dispute open."""
    taken_back = decided(("cleo", "oil fault", 1), ("dan", None, 2))
    assert (taken_back.status, taken_back.output) == ("disputed", None)
    assert decided(("cleo", None, 1), ("dan", "oil fault", 2)).output == "oil fault"

import pytest

from flywheel.workload.label_mapping import AnswerMapping
from tests.fakes.review_world import classification, extraction

TAXONOMY = {
    "version": 3,
    "labels": [
        {"id": "oil", "name": "fluid leak", "former_names": ["oil fault"]},
        {"id": "drip", "name": "dripping", "retired": 2, "merged_into": "oil"},
        {"id": "heat", "name": "heat fault"},
        {"id": "old", "name": "old fault", "retired": 3},
    ],
}


@pytest.mark.parametrize("name", ["fluid leak", "oil fault", "dripping", " fluid leak "])
def test_former_merged_and_padded_names_mean_the_present_label(name):
    """Every name that a label had, or that was merged into it, gives its id and present name."""
    present = AnswerMapping(classification(taxonomy=TAXONOMY)).present(name)
    assert (present.output, present.label_id, present.usable) == ("fluid leak", "oil", True)


@pytest.mark.parametrize(
    ("answer", "label", "unknown"),
    [("old fault", "old", None), ("odour", None, "odour"), (None, None, None), (5, None, None)],
)
def test_answers_without_a_present_label_are_not_usable(answer, label, unknown):
    """Retired and unknown labels, and no label at all, are told apart."""
    present = AnswerMapping(classification(taxonomy=TAXONOMY)).present(answer)
    assert (present.label_id, present.unknown, present.usable) == (label, unknown, False)


def test_order_of_keys_and_blanks_do_not_tell_answers_apart():
    """Two people who say the same in another order agree."""
    mapping = AnswerMapping(extraction(taxonomy=TAXONOMY))
    one = {"urgency": "low", "category": "oil fault", "note": "x "}
    other = {"note": "x", "category": "fluid leak", "urgency": "low"}
    assert mapping.key(one) == mapping.key(other)
    assert mapping.text(one) == '{"category":"oil fault","urgency":"low","note":"x"}'
    assert mapping.key(one) != mapping.key(one | {"urgency": "high"})


def test_extraction_that_breaks_the_schema_says_how():
    """A missing or wrong field is named."""
    mapping = AnswerMapping(extraction(taxonomy=TAXONOMY))
    assert "urgency" in mapping.present({"category": "fluid leak"}).problem
    assert "soon" in mapping.present({"category": "fluid leak", "urgency": "soon"}).problem

"""Which texts are unlike a reference."""

import pytest

from flywheel.quality.familiarity import FEWEST_TEXTS, ReferenceTexts

PARTS = ("pump", "valve", "seal", "motor", "belt", "hose", "weld", "paint", "bolt", "gear")
FAULTS = ("leaks", "hums", "is cracked", "is loose", "is worn", "smells", "is hot", "is wet")
PLACES = ("in the hall", "at line 2", "since Monday")
TEXTS = [f"the {part} {fault} {place}" for part in PARTS for fault in FAULTS for place in PLACES]
ODD = "please book two seats on the flight to Lisbon next Thursday"


@pytest.fixture(scope="module")
def reference():
    """Return the reference of reports about parts, of which a hundredth counts as unusual."""
    return ReferenceTexts.of(TEXTS, 0.01)


def test_a_text_of_another_kind_is_unlike(reference):
    """One of the same kind is not."""
    assert reference.is_unlike(ODD)
    assert not reference.is_unlike("the gear is worn at line 2 since Monday")


def test_the_share_says_how_many_of_its_own_are_unusual(reference):
    """About a tenth at a tenth, left one out; a smaller share has a lower bar."""
    tenth = ReferenceTexts.of(TEXTS, 0.1)
    assert tenth.bar > reference.bar
    unlike = [ReferenceTexts(tenth.vectors[[m for m in range(240) if m != n]], tenth.bar).is_unlike(TEXTS[n])
              for n in range(0, 240, 6)]  # fmt: skip
    assert sum(unlike) <= 10


def test_too_few_texts_are_no_reference():
    """Nothing can be said of a hundredth of them."""
    assert ReferenceTexts.of(TEXTS[: FEWEST_TEXTS - 1], 0.01) is None
    assert ReferenceTexts.of(TEXTS, 0.0) is None

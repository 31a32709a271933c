"""Names of labels that people can distinguish, whatever keyboard they were written on."""

import unicodedata

import pytest

from flywheel.errors import ConfigurationError
from flywheel.review.queues.label_studio_format import CANT_TELL, NEW_CATEGORY
from flywheel.workload.label_names import RESERVED_NAMES, clear_name
from flywheel.workload.model import parse_workload
from tests.fakes.review_world import classification

_COMPOSED = "café"
_DECOMPOSED = unicodedata.normalize("NFD", _COMPOSED)


def workload(*labels):
    """Return a workload with these labels."""
    raw = classification().model_dump(mode="json", by_alias=True)
    return parse_workload(raw | {"taxonomy": {"version": 1, "labels": labels}}, source="test")


def label(label_id, name, *former):
    """Return a label."""
    return {"id": label_id, "name": name, "former_names": list(former)}


def test_both_spellings_of_an_accent_are_one_label():
    """The file may hold one, an answer the other."""
    taxonomy = workload(label("a", _DECOMPOSED), label("b", "tea")).taxonomy
    assert taxonomy.names[0] == _COMPOSED
    assert taxonomy.find(_DECOMPOSED) is taxonomy.find(_COMPOSED) is taxonomy.labels[0]


@pytest.mark.parametrize("twin", ["SALES", "\uff33ales", "sales"])
def test_twins_are_refused_with_both_ids(twin):
    """By case or width alone nobody tells two labels apart."""
    with pytest.raises(ConfigurationError, match=r"take for one.*'a'.*'b'|used twice"):
        workload(label("a", "Sales"), label("b", twin))


def test_a_twin_of_a_former_name_is_refused_too():
    """An old row that bears the name would be read as the other label."""
    with pytest.raises(ConfigurationError, match="take for one"):
        workload(label("a", "Sales", "Selling"), label("b", "selling"))


def test_one_label_may_have_been_renamed_by_its_case():
    """Its own former names are no twins."""
    assert workload(label("a", "Sales", "sales"), label("b", "tea")).taxonomy.names[0] == "Sales"


@pytest.mark.parametrize(
    "character", ["\u200b", "\u202e", "\u2066", "\u00a0", "\u00ad", "\n", "\0", "\ufeff"]
)
def test_what_cannot_be_seen_is_refused_and_shown(character):
    """The message names the character and its place."""
    with pytest.raises(ConfigurationError, match=rf"U\+{ord(character):04X}.*sa␠les"):
        workload(label("a", f"sa{character}les"), label("b", "tea"))


@pytest.mark.parametrize(
    "name", ["漏れ", "🛠️ repair", "👩‍🔧", "Łódź", "Straße", "don't know", "a: b", "50 %"]
)
def test_names_of_people_all_over_are_taken(name):
    """Scripts, emoji and punctuation are text."""
    assert clear_name(name) == name


@pytest.mark.parametrize("name", [*RESERVED_NAMES, "Can\u2019t tell", "New  Category"])
def test_the_forms_own_words_are_refused(name):
    """Two buttons of one name would mean two things."""
    with pytest.raises(ConfigurationError, match="every form offers"):
        workload(label("a", name), label("b", "tea"))


def test_the_reserved_names_are_those_of_the_form():
    """Who adds one to the form adds it here."""
    assert {CANT_TELL, NEW_CATEGORY} <= set(RESERVED_NAMES)

"""Names that a model finds: masked once, beside what form and checksum find."""

import logging
import sys

import pytest

from flywheel.errors import ConfigurationError
from flywheel.privacy.masking import Masking
from flywheel.privacy.names import find_names, require_model
from flywheel.workload.privacy import NameRules, PrivacyRules

# Labels of the pipelines for English and for other languages.
LABELS = {
    "Maria Huber": "PERSON",
    "Jean Dupont": "PER",
    "Graz": "GPE",
    "Alps": "LOC",
    "Acme GmbH": "ORG",
    "anna@example.com": "PERSON",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Return the folder of a pipeline that knows six names."""
    import spacy

    pipeline = spacy.blank("en")
    ruler = pipeline.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": label, "pattern": name} for name, label in LABELS.items()])
    ruler.add_patterns([{"label": "PERSON", "pattern": [{"TEXT": {"REGEX": "PERSON_"}}]}])
    folder = tmp_path_factory.mktemp("model") / "names"
    pipeline.to_disk(folder)
    return str(folder)


def rules(model, **changes):
    return NameRules(model=model, **{"kinds": ("person", "location", "organization"), **changes})


def masking(model, **changes):
    return Masking(PrivacyRules(names=rules(model, **changes)))


def test_each_kind_has_a_placeholder_of_its_own(model):
    """One name is one placeholder, however it is spaced and written."""
    ours = masking(model)
    text = "Maria Huber of Acme GmbH in Graz, near the Alps, asks Jean Dupont. Maria Huber waits."
    assert ours.text(text) == (
        "<PERSON_1> of <ORGANIZATION_1> in <LOCATION_1>, near the <LOCATION_2>, asks <PERSON_2>. "
        "<PERSON_1> waits."
    )
    assert dict(ours.counts) == {"person": 2, "organization": 1, "location": 2}


def test_only_the_kinds_that_are_named_are_masked(model):
    """Persons alone are the default."""
    text = "Maria Huber of Acme GmbH in Graz"
    assert Masking(PrivacyRules(names=NameRules(model=model))).text(text) == (
        "<PERSON_1> of Acme GmbH in Graz"
    )
    assert (
        masking(model, kinds=("location",)).text(text) == "Maria Huber of Acme GmbH in <LOCATION_1>"
    )


def test_what_a_checksum_proves_is_not_a_name(model):
    """An address that the model takes for a person is an address."""
    assert masking(model).text("Write to anna@example.com, Maria Huber") == (
        "Write to <EMAIL_1>, <PERSON_1>"
    )


def test_a_placeholder_is_not_masked_again(model):
    """Neither ours, in a second text of the call, nor one that the caller made."""
    ours = masking(model)
    assert ours.text("<PERSON_1> writes to Maria Huber") == "<PERSON_1> writes to <PERSON_2>"
    assert ours.text("<PERSON_2>, again") == "<PERSON_2>, again"


def test_a_text_without_names_is_returned_as_it_is(model):
    """Not one character changes, and an empty text is asked of no model."""
    for text in ("", "  \n", "The pump drips. Order 1234 😀\x00"):
        assert masking(model).text(text) == text


def test_a_score_below_the_smallest_is_left(model):
    """The pipeline's findings have 0.85."""
    assert find_names("Maria Huber", rules(model, minimum_score=0.9)) == []


def test_names_are_not_logged(model, caplog):
    """Neither a text nor a finding, at any level."""
    with caplog.at_level(logging.DEBUG):
        find_names("Maria Huber of Acme GmbH", rules(model))
    assert "Huber" not in caplog.text


def test_a_model_that_is_not_there_is_named_and_not_downloaded(monkeypatch):
    """Presidio would fetch it."""
    import spacy

    monkeypatch.setattr(spacy.cli, "download", lambda *_: pytest.fail("downloaded"))
    with pytest.raises(ConfigurationError, match="en_core_web_absent, which is neither") as error:
        require_model(NameRules(model="en_core_web_absent"))
    assert "spacy download en_core_web_absent" in error.value.next_step


def test_without_the_extra_the_error_says_what_to_install(monkeypatch, tmp_path):
    """A workload that asks for names is not answered as if it had none."""
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(ConfigurationError, match="Presidio, which is not installed") as error:
        Masking(PrivacyRules(names=NameRules(model=str(tmp_path)))).text("Maria Huber")
    assert error.value.next_step == "install flywheel[presidio]"


def test_nothing_is_loaded_without_names():
    """A workload without names, or without privacy, needs no extra."""
    require_model(None)

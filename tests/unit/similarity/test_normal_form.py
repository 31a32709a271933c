import pytest

from flywheel.similarity.normal_form import input_hash, normalize


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Oil leaks!", "oil   leaks"),
        ("ＯＩＬ leaks", "oil leaks"),  # noqa: RUF001 - full width on purpose
        ("oil-leaks\n", "oil leaks"),
        ("STRASSE", "straße"),
    ],
)
def test_case_width_punctuation_and_space_do_not_tell_texts_apart(text, same):
    """What only looks different has one normal form."""
    assert normalize(text) == normalize(same)


@pytest.mark.parametrize(
    ("one", "other"), [("कि", "की"), ("5 €", "5 $"), ("???", "!!!"), ("a", "á")]
)
def test_marks_symbols_and_bare_punctuation_tell_texts_apart(one, other):
    """Combining marks, symbols and texts of punctuation alone keep their meaning."""
    assert normalize(one) != normalize(other)


def test_hash_depends_on_the_key_and_the_normal_form_alone():
    """Another key gives another hash; another spelling of the same text does not."""
    assert input_hash("Oil leaks!", "k") == input_hash("oil leaks", "k")
    assert input_hash("oil leaks", "k") != input_hash("oil leaks", "other")
    assert len(input_hash("oil leaks")) == 32

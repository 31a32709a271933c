"""Lists in options and settings are read in one way."""

import pytest

from flywheel.cli import simulation
from flywheel.errors import ConfigurationError
from flywheel.settings.comma_list import comma_list
from flywheel.usecases.base_precision import read_precisions


@pytest.mark.parametrize("text", [None, "", " ", ",", " , ,"])
def test_an_empty_list_has_no_parts(text):
    """Nor has one of commas and blanks."""
    assert comma_list(text) == ()


def test_parts_have_no_blanks_and_are_there_once():
    """A part that is written twice is measured, asked or served once, at its first place."""
    assert comma_list(" b, a ,b,,a c, a ") == ("b", "a", "a c")


def test_options_take_blanks_and_repeats():
    """Those of the simulation too, and what they do not know is refused."""
    assert simulation._numbers("2, 0,2") == (2, 0)
    assert simulation._arms("random, policy,random") == ("random", "policy")
    assert read_precisions("int8, float32,int8") == ("float32", "int8")
    for read in (simulation._numbers, simulation._arms, simulation._chosen_strategies):
        for text in ("", "x", "1,-2"):
            with pytest.raises(ConfigurationError):
                read(text)

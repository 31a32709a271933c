"""The file of prices: what is wrong is named by its key."""

import pytest

from flywheel.economics.prices import Prices, read_prices
from flywheel.errors import ConfigurationError, NotFoundError


def test_the_example_loads(repository):
    """It states every section; its tiers cover models by pattern."""
    prices = read_prices(repository / "deploy" / "prices.yaml")
    assert None not in (prices.serving, prices.training, prices.judgments, prices.engineering)
    assert prices.tier(None).name == "frontier"
    assert prices.tier_of("GPT-x-mini").name == "small hosted"
    assert prices.tier_of("something") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tiers: [{name: a}]", "give per_answer, or both"),
        ("tiers: [{name: a, per_answer: 1, input_per_million: 2}]", "not both"),
        ("tiers: [{name: a, per_answer: -1}]", "tiers.0.per_answer"),
        ("serving: {gpus: 2}", "either per_answer or gpu_hour"),
        ("baseline: big", "is not one of no tiers"),
        ("gpu_hour: 2", "unknown key; allowed here: baseline"),
        ("growth_per_month: .nan", "growth_per_month"),
        ("- 1", "no mapping"),
        ("a: [", "not readable YAML"),
        ("tiers: [{name: a, per_answer: 1}, {name: a, per_answer: 2}]", "the same name"),
    ],
)
def test_a_wrong_file_is_refused_with_its_key(tmp_path, text, words):
    """With what to do."""
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as error:
        read_prices(file)
    assert words in str(error.value)
    assert error.value.next_step


def test_no_file_is_an_error_with_the_example(tmp_path):
    """It names what to copy."""
    with pytest.raises(NotFoundError, match=r"copy deploy/prices\.yaml"):
        read_prices(tmp_path / "none.yaml")


def test_an_empty_mapping_has_no_prices(tmp_path):
    """Sections that are left out are None, not zero."""
    file = tmp_path / "prices.yaml"
    file.write_text("currency: EUR\n")
    prices = read_prices(file)
    assert prices == Prices(currency="EUR")
    assert (prices.tiers, prices.serving, prices.judgments) == ((), None, None)

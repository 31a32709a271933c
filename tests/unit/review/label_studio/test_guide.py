"""The annotator's guide is HTML in which nothing of the workload's file is more than text."""

import re

import pytest

from flywheel.errors import ConfigurationError
from flywheel.review.label_studio.guide import annotator_guide
from flywheel.workload.model import parse_workload
from tests.fakes.invoices import invoices
from tests.fakes.replies import replies


def _workload(description: str, *names: str):
    labels = [{"id": f"l{n}", "name": name} for n, name in enumerate(names)]
    raw = {
        "id": "w",
        "owner": "o",
        "description": description,
        "task": {"type": "classification"},
        "taxonomy": {"version": 1, "labels": labels},
        "prompt": "{input}",
    }
    return parse_workload(raw, source="test")


def test_the_guide_names_task_and_categories():
    """Description and labels stand in it."""
    html = annotator_guide(_workload("Sort the reports.", "dent", "scratch"))
    assert "Sort the reports." in html
    assert "<strong>dent</strong>" in html


def test_nothing_in_a_workload_becomes_markup():
    """Tags, links, images and headings of a label or description stay what they are: letters."""
    hostile = '<script>x</script> [a](http://b) ![i](http://c) ** # h\n\n# top\n- <img src="x">'
    html = annotator_guide(_workload(hostile, "<b>bold</b> [l](http://d)", "<http://e>"))
    tags = set(re.findall(r"</?([a-z0-9]+)", html))
    assert tags == {"h2", "p", "ol", "ul", "li", "strong"}
    assert "&lt;script&gt;" in html


def test_a_broken_guide_is_told(tmp_path):
    """A template that names something else is refused with the names that there are."""
    template = tmp_path / "guide.md"
    template.write_text("$nonsense")
    with pytest.raises(ConfigurationError, match="nonsense") as caught:
        annotator_guide(_workload("d", "a", "b"), template)
    assert "$labels" in caught.value.next_step


def test_the_guide_says_how_line_items_are_written():
    """A list has its parts in order, and without a taxonomy no new category is spoken of."""
    html = annotator_guide(invoices())
    assert "one line for each: description | quantity | unit_price | [sku]" in html
    assert r"<code>\|</code>" in html
    assert "new category" not in html
    assert "<strong>new category</strong>" in annotator_guide(_workload("d", "a", "b"))
    assert "Answers of several parts" not in annotator_guide(_workload("d", "a", "b"))


def test_people_read_the_rules_of_a_text():
    """Every rule that code checks stands in the guide, escaped."""
    guide = annotator_guide(replies())
    for words in ("Edit the draft", "KB-", "drafted by software", "guarantee", "10 to 60 words"):
        assert words in guide
    assert "A colleague will call you." in guide

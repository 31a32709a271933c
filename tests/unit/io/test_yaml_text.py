"""A change of a YAML file leaves every line alone that it does not concern."""

import difflib

import pytest
import yaml

from flywheel.errors import ConfigurationError
from flywheel.io.text_merge import merge_texts
from flywheel.io.yaml_text import YamlText

BLOCK = """id:   defects   # the id
taxonomy:
    version:   1   # v
    labels:
      # fluids
      - id: oil
        name: 'oil fault'   # all kinds
        description: >-
          whatever drips

      # sounds
      - {id: noise, name:  "noise",}   # loud

# the end
gates: {margin:   0.05, on: 1e-2}
"""
FLOW = """taxonomy: {"version": 1, "labels": [  # all
    {"id": "oil", "name": "oil fault"},   # wet
    {id: noise,
     name: noise},
  ]}
"""


def changed(text, change):
    """Return the lines that a change takes away, and those that it brings."""
    document = YamlText(text, source="w.yaml")
    change(document, document.root["taxonomy"])
    after = document.text()
    lines = list(difflib.ndiff(text.splitlines(), after.splitlines()))
    return (
        [line[2:] for line in lines if line.startswith("- ")],
        [line[2:] for line in lines if line.startswith("+ ")],
    )


def test_a_value_is_replaced_in_its_quotes_and_before_its_comment():
    """Nothing else on the line moves."""
    gone, new = changed(BLOCK, lambda d, t: d.put(t["labels"][0], "name", "leak"))
    assert gone == ["        name: 'oil fault'   # all kinds"]
    assert new == ["        name: 'leak'   # all kinds"]
    assert changed(BLOCK, lambda d, t: d.put(t, "version", 2)) == (
        ["    version:   1   # v"],
        ["    version:   2   # v"],
    )


def test_a_new_key_comes_behind_the_others_and_before_the_next_comment():
    """Comments of the next item stay with it."""
    gone, new = changed(BLOCK, lambda d, t: d.put(t["labels"][0], "retired", 2))
    assert (gone, new) == ([], ["        retired: 2"])
    document = YamlText(BLOCK, source="w.yaml")
    document.put(document.root["taxonomy"]["labels"][0], "retired", 2)
    assert "drips\n        retired: 2\n" in document.text().replace("drips\n\n", "drips\n")
    assert "\n      # sounds\n      - {id: noise" in document.text()


def test_a_new_item_comes_before_the_comments_behind_the_list():
    """`# the end` speaks of what follows."""
    gone, new = changed(BLOCK, lambda d, t: d.append(t["labels"], {"id": "heat", "name": "no"}))
    assert (gone, new) == ([], ["      - {id: heat, name: 'no'}"])


def test_a_flow_list_over_several_lines_keeps_them():
    """Line ends, comments and the comma behind the last item."""
    gone, new = changed(FLOW, lambda d, t: d.append(t["labels"], {"id": "heat", "name": "1:30"}))
    assert gone == ["     name: noise},"]
    assert new == ["     name: noise}, {id: heat, name: '1:30'},"]
    gone, new = changed(FLOW, lambda d, t: d.put(t["labels"][0], "former_names", ["a", "b"]))
    assert new == ['    {"id": "oil", "name": "oil fault", former_names: [a, b]},   # wet']


def test_a_list_on_lines_of_its_own_grows_by_a_line():
    """The editor by positions wrote a file here that no reader took."""
    text = "taxonomy:\n  labels:\n  - id: a\n    former:\n    - x\n    - y  # why\n\n  # b\n  - id: b\n"
    gone, new = changed(text, lambda d, t: d.put(t["labels"][0], "former", ["x", "y", "z"]))
    assert (gone, new) == ([], ["    - z"])


def test_a_list_that_others_refer_to_stays_theirs():
    """Its own place gets a list of its own, in one line."""
    text = "taxonomy:\n  a: &x\n  - one\n  b: *x\n  c: {<<: {d: [1]}}\n"
    document = YamlText(text, source="w.yaml")
    document.put(document.root["taxonomy"], "b", ["one", "two"])
    document.put(document.root["taxonomy"]["c"], "d", [1, 2])
    assert yaml.safe_load(document.text())["taxonomy"] == {
        "a": ["one"],
        "b": ["one", "two"],
        "c": {"d": [1, 2]},
    }


def test_an_anchor_survives_the_change_of_its_value():
    """What refers to it keeps the former value."""
    text = "taxonomy:\n  a: &x old  # a\n  b: *x\n"
    document = YamlText(text, source="w.yaml")
    document.put(document.root["taxonomy"], "a", "new")
    assert yaml.safe_load(document.text())["taxonomy"] == {"a": "new", "b": "old"}


def test_line_ends_of_another_system_stay():
    """A file that was written on Windows is not a file of which every line changed."""
    text = BLOCK.replace("\n", "\r\n")
    document = YamlText(text, source="w.yaml")
    document.put(document.root["taxonomy"], "version", 2)
    assert document.text() == text.replace("  1  ", "  2  ")


@pytest.mark.parametrize("text", [BLOCK, FLOW, BLOCK.replace("- {id: noise", "-   {id: noise")])
def test_what_no_change_was_made_to_is_the_same_byte_for_byte(text):
    """Whatever layout ruamel.yaml itself would choose."""
    assert YamlText(text, source="w.yaml").text() == text


@pytest.mark.parametrize(
    "name", ["no", "1:30", "a: b", "x #1", " padded ", "0x1f", "~", "näh", "*a"]
)
def test_a_text_is_read_back_as_a_text(name):
    """By a reader of YAML 1.1, in which `no` is not one."""
    document = YamlText(BLOCK, source="w.yaml")
    document.append(document.root["taxonomy"]["labels"], {"id": "x", "name": name})
    document.put(document.root["taxonomy"]["labels"][1], "name", name)
    labels = yaml.safe_load(document.text())["taxonomy"]["labels"]
    assert (labels[1]["name"], labels[2]["name"]) == (name, name)


@pytest.mark.parametrize("text", ["- a\n", "a: [\n", "a: 1\na: 2\n"])
def test_what_is_no_mapping_cannot_be_edited(text):
    """With the file's name."""
    with pytest.raises(ConfigurationError, match=r"w\.yaml"):
        YamlText(text, source="w.yaml")


def test_a_merge_takes_what_changed_and_the_layout_of_the_other():
    """Lines alone, and word by word where both differ on a line."""
    base, ours, theirs = "a: 1\nb: 2\n", "a:  1\n\nb:  2 \n", "a: 1\nb: 3\nc: 4\n"
    assert merge_texts(base, ours, theirs, fine=True) == "a:  1\n\nb:  3\nc: 4\n"
    assert merge_texts(base, base, theirs, fine=False) == theirs
    assert merge_texts(base, ours, base, fine=True) == ours

"""What README and docs tell a reader to type, open or look up exists.

The generated pages of the reference have their test in test_docs_reference.py.
"""

import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from flywheel.cli.catalog import COMMANDS, load_command
from flywheel.settings import Settings

REPOSITORY = Path(__file__).parents[2]
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
DECISIONS = [page for page in PAGES if page.parent.name == "decisions" and page.stem != "index"]
_LINE = re.compile(r"^(?:\.venv/bin/)?flywheel (.+)$", re.MULTILINE)


def page_id(page):
    """Name a page in the list of tests."""
    return str(page.relative_to(REPOSITORY))


every_page = pytest.mark.parametrize("page", PAGES, ids=page_id)


def command_names():
    """Return every command line, groups included, as `review push`."""
    names = set()
    for name in COMMANDS:
        names.add(name)
        names |= {f"{name} {inner}" for inner in getattr(load_command(name), "commands", {})}
    return names


@cache
def test_names():
    """Return the names of all test functions."""
    tests = "\n".join(path.read_text() for path in (REPOSITORY / "tests").rglob("test_*.py"))
    return set(re.findall(r"def (test_\w+)\(", tests))


test_names.__test__ = False


def block_lines(text):
    """Return the command lines in the fenced blocks of a page."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in _LINE.findall(block)]


def parse(line):
    """Parse a command line as the CLI does, up to the call."""
    words = shlex.split(line, comments=True)
    words = words[: words.index("&&")] if "&&" in words else words
    command, name = load_command(words[0]), words[0]
    words = words[1:]
    # A group without a command of its own may be one too, such as `desk`.
    while hasattr(command, "commands") and (words or not command.invoke_without_command):
        command, name, words = command.commands[words[0]], f"{name} {words[0]}", words[1:]
    command.parse_args(command.context_class(command, info_name=name), words)


@every_page
def test_every_command_in_a_block_parses(page):
    """Arguments and options are those that the command takes."""
    for line in block_lines(page.read_text()):
        parse(line)


def test_a_wrong_option_or_a_missing_argument_does_not_parse():
    """The test above would notice."""
    for line in ("gate tickets --nonsense", "gate", "gate a b c", "review pusch tickets"):
        with pytest.raises((Exception, SystemExit), match=r".+"):
            parse(line)


@every_page
def test_every_command_in_a_sentence_exists(page):
    """A renamed command is noticed here, not by a reader."""
    names = command_names()
    lines = re.findall(r"`(?:\.venv/bin/)?flywheel ([a-z][^`]*)`", page.read_text())
    for line in lines:
        words = re.match(r"([a-z-]+)(?: ([a-z][a-z-]*))?", line)
        first, second = words.groups()
        assert first in names, line
        if hasattr(load_command(first), "commands") and second:
            assert f"{first} {second}" in names, line


@every_page
def test_every_setting_exists(page):
    """A variable that a page names is a setting."""
    names = {f"FLYWHEEL_{name.upper()}" for name in Settings.model_fields}
    names.add("FLYWHEEL_TOKEN")  # a person's, for one command
    assert set(re.findall(r"FLYWHEEL_[A-Z_]*[A-Z]", page.read_text())) <= names


@every_page
def test_every_make_target_exists(page):
    """The Makefile has each target that a page names."""
    targets = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(
        r"`(?:[A-Z_]+=\S+ )*make ([a-z]+)|^make ([a-z]+)", page.read_text(), re.MULTILINE
    )

    assert {first or second for first, second in named} <= targets


@every_page
def test_every_path_exists(page):
    """Files and folders that a page points at are there."""
    text = page.read_text()
    paths = re.findall(r"`((?:tests|flywheel|deploy|docs)/[\w./-]+)`", text)
    if page.parent == REPOSITORY:  # mkdocs checks the links of its own pages
        paths += re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)

    assert [path for path in paths if not (REPOSITORY / path).exists()] == []


@every_page
def test_every_test_that_is_named_exists(page):
    """A promise is proven by a test of that name."""
    assert set(re.findall(r"`(test_\w+)`", page.read_text())) <= test_names()


@pytest.mark.parametrize("page", DECISIONS, ids=page_id)
def test_every_decision_has_its_four_parts(page):
    """A decision says what was asked and chosen, why, and what would change it."""
    text = page.read_text()
    for part in ("Question.", "Choice.", "Why", "What would change it."):
        assert f"**{part}" in text
    assert f"({page.name})" in (page.parent / "index.md").read_text()
    assert f"decisions/{page.name}" in (REPOSITORY / "mkdocs.yml").read_text()


def test_the_readme_is_short_and_names_the_two_commands():
    """A newcomer reads it in a few minutes."""
    text = (REPOSITORY / "README.md").read_text()
    assert len(text.splitlines()) < 150
    assert {"demo", "test", "up", "down", "docs"} <= set(re.findall(r"make ([a-z]+)", text))


def test_the_producers_lines_are_those_of_the_file():
    """What a reader copies is what a test runs, without its docstring."""
    page = (REPOSITORY / "docs/how-to/events.md").read_text()
    (first,) = re.findall(r'--8<-- "deploy/kafka/produce.py:(\d+)"', page)
    lines = (REPOSITORY / "deploy/kafka/produce.py").read_text().splitlines()

    assert lines[int(first) - 1] == "import json"

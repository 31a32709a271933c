"""What the README tells a newcomer to type exists."""

import re

from flywheel.cli.catalog import COMMANDS, load_command


def command_names():
    """Return every command line, groups included, as `review push`."""
    names = set()
    for name in COMMANDS:
        names.add(name)
        names |= {f"{name} {inner}" for inner in getattr(load_command(name), "commands", {})}
    return names


def test_every_flywheel_command_of_the_readme_exists(repository):
    """A renamed command is noticed here, not by a reader."""
    text = (repository / "README.md").read_text()
    known = command_names()
    told = set(re.findall(r"`?(?:\.venv/bin/)?flywheel ([a-z]+(?:-[a-z]+)*(?: [a-z]+)?)", text))
    told = {words for words in told if words.split()[0] not in {"is", "closes", "and"}}

    unknown = {words for words in told if words not in known and words.split()[0] not in known}
    assert told
    assert not unknown


def test_every_make_target_of_the_readme_exists(repository):
    """The Makefile knows each target the README names."""
    targets = set(re.findall(r"^([a-z]+):", (repository / "Makefile").read_text(), re.MULTILINE))
    told = set(
        re.findall(
            r"`make ([a-z]+)|^make ([a-z]+)", (repository / "README.md").read_text(), re.MULTILINE
        )
    )
    told = {first or second for first, second in told}

    assert {"demo", "test", "up", "down", "bench"} <= told
    assert told <= targets


def test_every_path_of_the_readme_exists(repository):
    """Files and folders that the README points at are there."""
    text = (repository / "README.md").read_text()
    paths = re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(
        r"`((?:tests|flywheel|deploy)/[^` ]+)`", text
    )

    assert paths
    assert [path for path in paths if not (repository / path).exists()] == []


def test_every_test_that_the_readme_names_exists(repository):
    """A promise in the README is proven by a test of that name."""
    told = set(re.findall(r"`(test_\w+)`", (repository / "README.md").read_text()))
    tests = "\n".join(path.read_text() for path in (repository / "tests").rglob("test_*.py"))

    assert told
    assert [name for name in sorted(told) if f"def {name}(" not in tests] == []


def test_the_producers_lines_are_those_of_the_file(repository):
    """What a reader copies is what a test runs."""
    lines = (repository / "deploy/kafka/produce.py").read_text().split('"""\n', 1)[1].strip()
    assert lines in (repository / "README.md").read_text()

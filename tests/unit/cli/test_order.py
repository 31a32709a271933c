"""The commands of one turn are in one place, in order."""

import re

from flywheel.cli.order import IN_ORDER, TURN
from tests.unit.test_readme import command_names


def words(command):
    """Return a command without its arguments."""
    return re.match(r"flywheel ((?:review|cycle) [a-z]+|[a-z]+)", command).group(1)


def test_the_docs_have_the_same_commands_in_the_same_order(repository):
    """A reader finds the turn in the help and in the docs."""
    page = (repository / "docs/how-to/approvals.md").read_text()
    section = page.split("## One turn by hand", 1)[1]
    block = section.split("```")[1]
    lines = [words(f"flywheel {line}") for line in re.findall(r"bin/flywheel (.*)", block)]

    assert lines == [words(command) for command, _ in TURN]


def test_every_command_of_the_turn_exists():
    """The help does not send anybody astray."""
    assert {words(command) for command, _ in TURN} <= command_names()
    assert all(command in IN_ORDER for command, _ in TURN)

"""What holds for every command of the catalog: JSON for facts, no folder made, no traceback."""

import pytest
from typer.testing import CliRunner

from flywheel.cli import build_app
from flywheel.cli.catalog import COMMANDS, load_command
from flywheel.errors import FlywheelError


def _leaves(words, command):
    children = getattr(command, "commands", None)
    if children is None:
        yield words, command
        return
    for name, child in children.items():
        yield from _leaves((*words, name), child)


LEAVES = {
    " ".join(words): command
    for name in COMMANDS
    for words, command in _leaves((name,), load_command(name))
}
# Commands whose output is no facts, with the reason.
WITHOUT_JSON = {
    "init": "writes a file, which is the answer",
    "taxonomy rename": "shows a preview and asks a person",
    "taxonomy merge": "shows a preview and asks a person",
    "taxonomy split": "shows a preview and asks a person",
    "taxonomy retire": "shows a preview and asks a person",
    "taxonomy add": "writes a file, which is the answer",
    "schema": "prints nothing but JSON",
    "desk home": "prints nothing but JSON",
    "desk cycle": "prints nothing but JSON",
    "desk cases": "prints nothing but JSON",
    "desk release": "prints nothing but JSON",
    "review answer": "a conversation in the terminal",
    "review provision": "changes projects in Label Studio, a line for each",
    "webhooks": "runs until it is stopped",
    "gateway": "runs until it is stopped",
    "up": "starts programs",
    "down": "stops programs",
    "services up": "starts programs; `services status --json` has the facts",
    "services prepare": "makes what services need, a line for each",
    "services down": "stops programs",
    "services logs": "prints files as they are",
}
# Commands that begin a deployment, or start programs.
MAKES = {
    "init": "begins a deployment",
    "topics apply": "makes the topics",
    "state upgrade": "makes the schema",
    "up": "starts Dagster on a new deployment too",
    "services up": "makes the services' folder",
    "services prepare": "makes topics, schema and folders",
    "simulate": "trains for minutes in a home of its own",
}


def _required(command):
    words = []
    for parameter in command.params:
        if not parameter.required:
            continue
        value = "1" if parameter.name == "partition" else "x"
        words += [value] if parameter.param_type_name == "argument" else [parameter.opts[0], value]
    return words


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Stand in a folder without a deployment."""
    monkeypatch.chdir(tmp_path)
    for name in ("FLYWHEEL_HOME", "FLYWHEEL_WORKLOADS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_that_prints_facts_has_json(name):
    """An exception is written down with its reason, and only while it is one."""
    options = {option for parameter in LEAVES[name].params for option in parameter.opts}
    assert ("--json" in options) != (name in WITHOUT_JSON)


def test_exceptions_name_commands():
    """An exception of a command that is gone goes too."""
    assert {*WITHOUT_JSON, *MAKES} <= set(LEAVES)


@pytest.mark.parametrize("name", [name for name in LEAVES if name not in MAKES])
def test_no_command_makes_a_deployment_by_the_way(name, folder):
    """In a wrong folder a command refuses with the next step (1 or 2) and leaves nothing there."""
    done = CliRunner().invoke(build_app(), [*name.split(), *_required(LEAVES[name])])
    assert list(folder.iterdir()) == []
    if isinstance(done.exception, FlywheelError):
        assert done.exception.next_step
    else:
        assert done.exit_code == 2 or name in {"schema", "doctor", "down", "services down"}
        assert done.exception is None or isinstance(done.exception, SystemExit)


@pytest.mark.parametrize("name", LEAVES)
def test_unknown_option_is_a_wrong_command_line(name):
    """Exit code 2, without a traceback."""
    done = CliRunner().invoke(build_app(), [*name.split(), "--no-such-option"])
    assert done.exit_code == 2
    assert "No such option" in done.stderr


def test_help_says_the_exit_codes():
    """What a script has to know is on the first page."""
    shown = CliRunner().invoke(build_app(), ["--help"]).stdout
    assert "Exit codes: 0 done, 1 refused" in shown

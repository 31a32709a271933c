"""The command line as a whole: its list, its help, its errors and what it costs to start."""

import json
import resource
import subprocess
import sys

import pytest
from rich.table import Table
from typer.testing import CliRunner

from flywheel import cli
from flywheel.cli import build_app
from flywheel.cli.catalog import COMMANDS, load_command
from flywheel.cli.console import Console

PARTS = """\
id: parts
owner: quality
task: {type: classification}
taxonomy: {labels: [{id: a, name: A}, {id: b, name: B}]}
prompt: "{input}"
"""
TICKET = "0190b6d2-" * 12


def flywheel(*words, **environment):
    """Run the command line in a process of its own; return it and the CPU seconds it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "flywheel.cli", *words],
        capture_output=True,
        text=True,
        check=False,
        env=environment or None,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_each_command_says_of_itself(name):
    """The catalog repeats the help of a command, so that listing it imports nothing."""
    command = load_command(name)
    assert command.name == name
    assert COMMANDS[name].help == command.get_short_help_str(1000)
    assert COMMANDS[name].group == (hasattr(command, "commands") and COMMANDS[name].group)


def test_every_command_is_in_the_list():
    """No module of commands is left out."""
    import typer.main

    for module in {entry.module for entry in COMMANDS.values()}:
        area = typer.main.get_group(__import__(f"flywheel.cli.{module}", fromlist=["app"]).app)
        entries = {name: e for name, e in COMMANDS.items() if e.module == module}
        grouped = [entry for entry in entries.values() if entry.group]
        assert grouped or set(area.commands) == set(entries), module


def test_help_is_short_work():
    """The list of commands takes at most 0.8 s of CPU, and a command's own help 1.5 s."""
    done, seconds = flywheel("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)
    assert seconds < 0.8
    done, seconds = flywheel("cycles", "-h")
    assert done.returncode == 0
    assert seconds < 1.5


def test_version_and_unknown_commands():
    """A mistyped name is answered with the one that was meant."""
    runner = CliRunner()
    assert runner.invoke(build_app(), ["--version"]).stdout.startswith("flywheel 0.")
    mistyped = runner.invoke(build_app(), ["statsu"])
    assert mistyped.exit_code == 2
    assert "status" in mistyped.stderr


def test_a_fault_is_a_sentence_and_a_traceback_on_demand(monkeypatch, capsys):
    """What nobody expected ends with code 70, and with `--debug` it is raised."""

    def broken() -> None:
        raise RuntimeError("the disk speaks Latin")

    monkeypatch.setattr(cli, "build_app", lambda **_: broken)
    monkeypatch.delenv("FLYWHEEL_DEBUG", raising=False)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 70
    told = capsys.readouterr().err
    assert "RuntimeError: the disk speaks Latin" in told
    assert "--debug" in told
    assert "Traceback" not in told
    monkeypatch.setenv("FLYWHEEL_DEBUG", "1")
    with pytest.raises(RuntimeError, match="Latin"):
        cli.main()


def test_a_pipe_gets_ids_in_one_piece(capsys):
    """Where there is no terminal nothing is wrapped and nothing is cut."""
    table = Table()
    for column in ("id", "reason", "command"):
        table.add_column(column)
    table.add_row(TICKET, TICKET, f"flywheel approve {TICKET}")
    Console().print(table)
    assert f"flywheel approve {TICKET}" in capsys.readouterr().out


def test_cycles_answer_machines(tmp_path, monkeypatch):
    """Facts and no sentences."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path))
    monkeypatch.delenv("FLYWHEEL_WORKLOADS", raising=False)
    (tmp_path / "workloads").mkdir()
    (tmp_path / "workloads" / "parts.yaml").write_text(PARTS)
    shown = CliRunner().invoke(build_app(), ["cycles", "parts", "--json"])
    assert json.loads(shown.stdout) == {"workload": "parts", "champion": "base", "cycles": []}


def test_doctor_answers_machines(tmp_path, monkeypatch):
    """The same findings as the table's, whole."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path / "home"))
    done = CliRunner().invoke(build_app(), ["doctor", "--json"])
    facts = json.loads(done.stdout)
    assert facts["good"] == (done.exit_code == 0)
    assert {"what", "good", "detail", "warning"} == set(facts["findings"][0])

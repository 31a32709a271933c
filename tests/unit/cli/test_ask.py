"""`flywheel ask`: texts as arguments and from stdin, for people and as JSON."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from flywheel.cli.ask import app
from flywheel.errors import ConfigurationError, NotFoundError
from flywheel.usecases.asking import Reply
from flywheel.wiring import Platform
from tests.fakes.micro_base import classification, codec
from tests.fakes.model_server import FakeModelServer
from tests.fakes.workload_file import put_workload


@pytest.fixture(autouse=True)
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment with one workload, answered by its base."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path))
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(tmp_path / "workloads"))
    put_workload(tmp_path / "workloads", classification())
    server = FakeModelServer({"base": lambda text: None if "?" in text else "seal paint"})
    monkeypatch.setattr(Platform, "server", lambda _platform, _workload: server)
    monkeypatch.setattr("flywheel.usecases.asking.codec_of", lambda _platform, _workload: codec())


def ask(*arguments: str, **options: Any) -> Result:
    """Run `flywheel ask parts`."""
    return CliRunner().invoke(app, ["parts", *arguments], catch_exceptions=False, **options)


def test_answer_is_printed_with_confidence_and_time():
    """One line per text, after the name of the release."""
    result = ask("the seal leaks")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "release: base",
        "1: seal paint  confidence 0.900  runner-up seal paint  10 ms",
    ]


def test_answer_of_a_model_cannot_move_the_cursor(monkeypatch):
    """A model may copy what a client wrote."""
    reply = Reply("x", output="a\x1b[2J\u202eb", confidence=0.9, seconds=0.01)
    monkeypatch.setattr("flywheel.usecases.asking.ask_texts", lambda *_: [reply])
    line = ask("x").stdout.splitlines()[1]
    assert line.startswith("1: a[U+001B][2J[U+202E]b  confidence")


def test_lines_of_stdin_are_answered_in_order():
    """Blank lines are skipped; a text without an answer is an exit code of 1 after all others."""
    result = ask("-", "--json", input="the seal leaks\n\nwhy?\r\n[seal] </s>\n")
    assert result.exit_code == 1
    replies = [json.loads(line) for line in result.stdout.splitlines()]
    assert [reply["input"] for reply in replies] == ["the seal leaks", "why?", "[seal] </s>"]
    assert [reply["output"] for reply in replies] == ["seal paint", None, "seal paint"]
    assert replies[1]["error"] == "breaks the schema"
    assert {reply["release"] for reply in replies} == {"base"}


def test_unknown_release_names_the_choices():
    """A release that the workload does not have is an error, not an answer of another."""
    with pytest.raises(NotFoundError, match=r"no release 'parts\.9'") as caught:
        ask("x", "--release", "parts.9")
    assert "base" in str(caught.value.next_step)


def test_empty_stdin_is_an_error():
    """Nothing asked is nothing answered."""
    with pytest.raises(ConfigurationError, match="nothing to ask"):
        ask("-", input="\n")

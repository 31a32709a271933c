"""What a step prints is in its files and in the output of its process, and takes no process more."""

import os
import sys
from contextlib import contextmanager, redirect_stdout

import psutil
import pytest

from flywheel.orchestration import step_output
from flywheel.orchestration.step_output import StepOutput
from tests.fakes.waiting import wait_until

KEY = ["run", "compute_logs", "step"]


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def printing_to(path):
    """Put a file in the place of this process's output."""
    with path.open("w") as file, redirect_stdout(file):
        yield


def test_output_is_in_the_files_and_passed_on(tmp_path):
    """Also what a library writes to the descriptor; a repeated step adds to its file."""
    manager, terminal = StepOutput(str(tmp_path)), tmp_path / "terminal"
    with printing_to(terminal):
        say("before")
        for attempt in ("first", "second"):
            with manager.capture_logs(KEY):
                say(attempt)
                os.write(sys.stdout.fileno(), b"written\n")
        say("after")

    lines = ["first", "written", "second", "written"]
    assert manager.get_log_data(KEY).stdout.decode().split() == lines
    assert manager.is_capture_complete(KEY)
    assert terminal.read_text().split() == ["before", *lines, "after"]


def test_output_is_passed_on_while_the_step_runs(tmp_path):
    """Whoever follows the log of a service sees a long step at work, without a process for it."""
    terminal = tmp_path / "terminal"
    with printing_to(terminal), StepOutput(str(tmp_path)).capture_logs(KEY):
        say("at work")
        assert psutil.Process().children() == []
        wait_until(lambda: terminal.read_text() == "at work\n", "the output", seconds=60)


def test_a_failed_step_keeps_what_it_printed(tmp_path):
    """It is not marked as complete, as by Dagster's own manager."""
    manager, terminal = StepOutput(str(tmp_path)), tmp_path / "terminal"

    def fail():
        with printing_to(terminal), manager.capture_logs(KEY):
            say("until here")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert terminal.read_text() == "until here\n"
    assert manager.get_log_data(KEY).stdout == b"until here\n"
    assert not manager.is_capture_complete(KEY)


def test_output_without_a_descriptor_is_left_alone(tmp_path, capsys):
    """A test's stand-in for the terminal has none."""
    with StepOutput(str(tmp_path)).capture_logs(KEY):
        say("hello")
    assert capsys.readouterr().out == "hello\n"


def test_a_terminal_that_nobody_reads_does_not_hold_a_step(tmp_path, monkeypatch):
    """What it prints is in its file, and is passed on once somebody reads."""
    monkeypatch.setattr(step_output, "_PASS_ON_SECONDS", 0.1)
    line = "x" * (1 << 20)
    manager = StepOutput(str(tmp_path))
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as terminal:
        with os.fdopen(writer, "w") as output, redirect_stdout(output), manager.capture_logs(KEY):
            say(line)
        assert manager.get_log_data(KEY).stdout == f"{line}\n".encode()
        assert terminal.read() == f"{line}\n".encode()

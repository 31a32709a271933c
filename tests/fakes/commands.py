"""`run_command` and `run_flywheel`: the command line as a person calls it, in this process."""

from typing import Any

from click.testing import Result
from typer.testing import CliRunner

from flywheel.cli import build_app

__all__ = ["run_command", "run_flywheel"]


def run_command(area: Any, *arguments: str) -> Result:
    """Run a command of a module of `flywheel.cli`; its errors are raised."""
    return CliRunner().invoke(area.app, list(arguments), catch_exceptions=False)


def run_flywheel(*words: str, typed: str = "") -> str:
    """Run a command that succeeds, by all of its words, and return what it printed."""
    result = CliRunner().invoke(build_app(), list(words), input=typed, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output

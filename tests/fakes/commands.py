"""`run_command`: one of the command line's areas as a person calls it, in this process."""

from typing import Any

from click.testing import Result
from typer.testing import CliRunner

__all__ = ["run_command"]


def run_command(area: Any, *arguments: str) -> Result:
    """Run a command of a module of `flywheel.cli`; its errors are raised."""
    return CliRunner().invoke(area.app, list(arguments), catch_exceptions=False)

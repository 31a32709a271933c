"""`JsonOption` and `print_facts`: the facts of a command as one JSON value on standard output."""

from typing import Annotated, Any

import typer

from flywheel.io.plain_json import to_json

__all__ = ["JsonOption", "print_facts"]

JsonOption = Annotated[bool, typer.Option("--json", help="print the facts as JSON")]


def print_facts(facts: Any) -> None:
    """Print a dataclass, or plain values that may hold some, as one line of JSON.

    Times are ISO 8601, paths are text.
    """
    typer.echo(to_json(facts))

"""`JsonOption` and `print_facts`: the facts of a command as one JSON value on standard output."""

import json
from dataclasses import asdict, is_dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["JsonOption", "print_facts"]

JsonOption = Annotated[bool, typer.Option("--json", help="print the facts as JSON")]


def print_facts(facts: Any) -> None:
    """Print a dataclass, or plain values that may hold some, as one line of JSON.

    Times are ISO 8601, paths are text.
    """
    typer.echo(json.dumps(facts, default=_plain))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")

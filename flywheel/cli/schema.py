"""`flywheel schema`: the events' JSON Schema, for producers in any language."""

import json
from enum import StrEnum

import typer

__all__ = ["app"]

app = typer.Typer()


class _Event(StrEnum):
    INFERENCE = "inference"
    FEEDBACK = "feedback"


@app.command()
def schema(
    event: _Event = typer.Argument(_Event.INFERENCE, help="which event"),
) -> None:
    """Print the JSON Schema (draft 2020-12) of an event."""
    from flywheel.events.published import published_schema

    typer.echo(json.dumps(published_schema(event.value), indent=2))

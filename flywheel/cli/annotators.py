"""`flywheel annotators`: accounts of the people who annotate in Label Studio."""

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer(help="Accounts of the people who annotate in Label Studio.")
_console = Console()


@app.command()
def add(emails: list[str] = typer.Argument(help="e-mail addresses")) -> None:
    """Make accounts and print each one's password once; it is kept nowhere."""
    from flywheel.review.label_studio.annotators import (  # noqa: PLC0415 - loaded when needed
        add_annotator,
    )

    client = open_platform().label_studio
    for email in emails:
        made = add_annotator(client, email)
        if made is None:
            _console.print(Text(f"{email}: has an account already."))
            continue
        # Whole, to be copied.
        typer.echo(f"{made.email}: password {made.password}, at {client.url}/user/login/")


@app.command(name="list")
def list_() -> None:
    """Show who has an account."""
    from flywheel.review.label_studio.annotators import (  # noqa: PLC0415 - loaded when needed
        list_annotators,
    )

    table = Table("id", "e-mail", "last seen")
    for person in list_annotators(open_platform().label_studio):
        table.add_row(str(person.id), Text(person.email), person.last_activity or "")
    _console.print(table)

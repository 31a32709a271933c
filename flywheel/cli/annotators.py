"""`flywheel annotators`: accounts of the people who annotate in Label Studio."""

from dataclasses import asdict

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer(help="Accounts of the people who annotate in Label Studio.")
_console = Console()


@app.command()
def add(
    emails: list[str] = typer.Argument(help="e-mail addresses"), json_output: JsonOption = False
) -> None:
    """Make accounts and print each one's password once; it is kept nowhere."""
    from flywheel.usecases.annotator_accounts import add_account, login_page

    platform = open_platform(existing=True)
    for email in emails:
        made = add_account(platform, email)
        if json_output:
            # A line each, at once: a later address that fails takes no password with it.
            facts = {"email": email, "password": None} if made is None else asdict(made)
            print_facts(facts | {"made": made is not None})
            continue
        if made is None:
            _console.print(Text(f"{email}: has an account already."))
            continue
        # Whole, to be copied.
        typer.echo(f"{made.email}: password {made.password}, at {login_page(platform)}")


@app.command(name="list")
def list_(json_output: JsonOption = False) -> None:
    """Show who has an account."""
    from flywheel.usecases.annotator_accounts import list_accounts

    people = list_accounts(open_platform(existing=True))
    if json_output:
        print_facts(people)
        return
    table = Table("id", "e-mail", "last seen")
    for person in people:
        table.add_row(str(person.id), Text(person.email), person.last_activity or "")
    _console.print(table)

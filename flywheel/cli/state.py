"""`flywheel state`: bring the state's schema up to date, or the whole state to another database."""

from typing import Annotated

import typer

from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.settings import load_settings

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="The SQL state: schema, and the way to PostgreSQL.")
_console = Console()


@app.callback()
def state() -> None:
    """The SQL state: schema, and the way to PostgreSQL."""


@app.command()
def upgrade(json_output: JsonOption = False) -> None:
    """Bring the state's schema to this version of Flywheel; nothing happens where it is so."""
    from flywheel.deployment.moves import upgrade_state

    done = upgrade_state(load_settings())
    if json_output:
        print_facts(done)
        return
    change = f"schema {done.has}, as before"
    if done.had != done.has:
        change = f"schema {done.had or 'none'} -> {done.has}"
    _console.print(f"{done.database}: {change}", markup=False)


@app.command()
def copy(
    source: Annotated[
        str | None,
        typer.Option("--from", help="URL of the state to copy; default: SQLite in FLYWHEEL_HOME"),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--to",
            help="URL of an empty database; default: FLYWHEEL_STATE_URL or what services started "
            "(a password on the command line is seen by others)",
        ),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Copy the whole state into an empty database, such as the embedded one into PostgreSQL."""
    from flywheel.deployment.moves import move_state

    done = move_state(load_settings(), source=source, target=target)
    if json_output:
        print_facts(done)
        return
    _console.print(f"{done.source} -> {done.target}", markup=False)
    for table, rows in done.rows.items():
        _console.print(f"  {table}: {rows} rows", markup=False)
    _console.print(
        f"every row is the same, the audit is unbroken, newest hash {done.newest_hash[:12]}; "
        "the source is as it was",
        markup=False,
    )

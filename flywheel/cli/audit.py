"""`flywheel audit`: the audit's newest hash, to be noted elsewhere and compared later."""

import json
from typing import Annotated

import typer

from flywheel.cli.facts import JsonOption, print_facts
from flywheel.errors import ConfigurationError, IntegrityError
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="The audit's newest hash, and a check against it.")


@app.callback()
def audit() -> None:
    """The audit's newest hash, and a check against it."""


@app.command()
def head(
    json_output: bool = typer.Option(False, "--json", help="print it as JSON"),
) -> None:
    """Print number and hash of the newest audit row, as NUMBER:HASH.

    Note it where nobody who can write the database can write: `flywheel audit check` then shows
    whether the audit was written again since.
    """
    rows, newest = open_platform(existing=True).state.audit.verify()
    typer.echo(json.dumps({"seq": rows, "hash": newest}) if json_output else f"{rows}:{newest}")


@app.command()
def check(
    noted: Annotated[str, typer.Argument(help="what `flywheel audit head` printed then")],
    json_output: JsonOption = False,
) -> None:
    """Check that the audit still holds a row that was noted earlier; exit code 1: it does not."""
    number, _, row_hash = noted.strip().partition(":")
    if not number.isdecimal() or not row_hash:
        raise ConfigurationError(
            f"{noted!r} is no NUMBER:HASH.", next_step="give what `flywheel audit head` printed"
        )
    state = open_platform(existing=True).state
    chain = [(row.seq, row.hash) for row in state.audit.of()]
    if (int(number), row_hash) not in chain:
        rows, newest = chain[-1] if chain else (0, "")
        raise IntegrityError(
            f"The audit has {rows} rows, newest {newest[:12]}, and none is {number} with that "
            "hash: it was written again or cut off.",
            next_step="restore the state database from a backup and compare the rows",
        )
    rows, _ = state.audit.verify()
    if json_output:
        print_facts({"seq": int(number), "hash": row_hash, "later_rows": rows - int(number)})
        return
    typer.echo(f"row {number} is as noted; {rows - int(number)} rows came after it")


@app.command()
def accept(
    person: Annotated[str, typer.Option("--as", help="your name; taken on trust, and recorded so")],
    reason: Annotated[str, typer.Option("--reason", help="why, in a sentence")],
    json_output: JsonOption = False,
) -> None:
    """Go on from the audit as it is, where the file of its hashes was lost or damaged.

    Compare it first with what was noted elsewhere (`flywheel audit check`). The former file is kept.
    """
    from flywheel.usecases.acceptance import accept_audit

    head, former = accept_audit(open_platform(existing=True), person=person, reason=reason)
    if json_output:
        print_facts({"head": head, "former_file": former})
        return
    typer.echo(head)
    if former is not None:
        typer.echo(f"the former file is {former}", err=True)

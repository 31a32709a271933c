"""`flywheel audit`: the audit's newest hash, to be noted elsewhere and compared later."""

from typing import Annotated

import typer

from flywheel.cli.arguments import ReasonOption
from flywheel.cli.console import echo
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.cli.identity import NameOption, TokenOption, person_who_acts
from flywheel.usecases.audit import audit_head, check_audit
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="The audit's newest hash, and a check against it.")


@app.callback()
def audit() -> None:
    """The audit's newest hash, and a check against it."""


@app.command()
def head(
    json_output: JsonOption = False,
) -> None:
    """Print number and hash of the newest audit row, as NUMBER:HASH.

    Note it where no writer of the database can write: `flywheel audit check` then shows
    whether the audit was written again since.
    """
    newest = audit_head(open_platform(existing=True))
    if json_output:
        print_facts(newest)
    else:
        typer.echo(f"{newest.seq}:{newest.hash}")


@app.command()
def check(
    noted: Annotated[str, typer.Argument(help="what `flywheel audit head` printed then")],
    json_output: JsonOption = False,
) -> None:
    """Check that the audit still holds a row that was noted earlier; exit code 1: it does not."""
    done = check_audit(open_platform(existing=True), noted)
    if json_output:
        print_facts(done)
        return
    typer.echo(f"row {done.seq} is as noted; {done.later_rows} rows came after it")


@app.command()
def verify(
    publish: Annotated[
        bool,
        typer.Option("--publish", help="give the head to FLYWHEEL_AUDIT_COMMAND, if it is good"),
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Find a changed, removed or re-chained row; exit code 1: something is not as it was.

    Compares the chain with itself, with the file of its hashes, with MLflow's tags, and with
    approvals, releases and routes.
    """
    from flywheel.usecases.audit_trail import publish_head, verify_audit

    platform = open_platform(existing=True)
    done = verify_audit(platform)
    published = publish_head(platform) if publish and done.good else None
    if json_output:
        print_facts({"good": done.good, "verification": done, "published": published})
    else:
        for subject, text in done.findings.items():
            echo(f"{subject}: {text}")
        if published is not None:
            echo(f"published: {published.seq}:{published.hash}")
    if not done.good:
        raise typer.Exit(1)


@app.command("list")
def list_command(
    text: Annotated[str, typer.Option(help="in event, subject or person; default: all")] = "",
    page: Annotated[int, typer.Option(min=1, help="pages of 50, newest first")] = 1,
    json_output: JsonOption = False,
) -> None:
    """List the audit's rows, newest first."""
    from flywheel.usecases.desk.audit_page import read_audit

    shown = read_audit(open_platform(existing=True), text=text, page=page)
    if json_output:
        print_facts(shown)
        return
    for line in shown.lines:
        echo(f"{line.seq:>6}  {line.at:%Y-%m-%d %H:%M}  {line.event}  {line.subject}  {line.actor}")
    echo(f"page {shown.page} of {shown.pages}, {shown.total} rows")


@app.command()
def accept(
    reason: ReasonOption,
    name: NameOption = None,
    token: TokenOption = None,
    json_output: JsonOption = False,
) -> None:
    """Go on from the audit as it is, where the file of its hashes was lost or damaged.

    Compare it first with what was noted elsewhere (`flywheel audit check`). The former file is kept.
    """
    from flywheel.usecases.acceptance import accept_audit

    platform = open_platform(existing=True)
    person = person_who_acts(platform, name, token, "administer")
    head, former = accept_audit(platform, person=person, reason=reason)
    if json_output:
        print_facts({"head": head, "former_file": former})
        return
    typer.echo(head)
    if former is not None:
        typer.echo(f"the former file is {former}", err=True)

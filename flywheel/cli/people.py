"""`flywheel people`: who may read and decide at the release desk, and their personal tokens."""

from typing import Annotated

import typer
from rich.table import Table

from flywheel.cli.console import Console, echo
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.cli.identity import NameOption, TokenOption, token_or_prompt
from flywheel.usecases.people import (
    DEFAULT_DAYS,
    NewToken,
    add_person,
    change_roles,
    list_people,
    renew_token,
    revoke_person,
)
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True, help="People who read and decide at the release desk, and their tokens."
)
PersonArgument = Annotated[str, typer.Argument(help="name of the person", metavar="PERSON")]
_Roles = Annotated[
    list[str], typer.Option(help="viewer, annotator_lead, approver or admin; repeatable")
]
_Days = Annotated[int, typer.Option(min=1, help="until the token expires")]


@app.command()
def add(
    person: PersonArgument,
    role: _Roles,
    email: Annotated[
        str | None, typer.Option(help="address under which the person may ask for cycles too")
    ] = None,
    days: _Days = DEFAULT_DAYS,
    name: NameOption = None,
    token: TokenOption = None,
    json_output: JsonOption = False,
) -> None:
    """Register a person and show the personal token once; only its hash is kept.

    The first person is an admin. From then on a name alone is not enough for verdicts, rollbacks
    and cycles by hand, and only an admin adds others.
    """
    platform = open_platform(existing=True)
    new = add_person(
        platform,
        person,
        roles=role,
        email=email,
        days=days,
        by=name,
        token=token_or_prompt(platform, token),
    )
    _show(new, json_output=json_output)


@app.command("token")
def token_command(
    person: PersonArgument,
    days: _Days = DEFAULT_DAYS,
    name: NameOption = None,
    token: TokenOption = None,
    json_output: JsonOption = False,
) -> None:
    """Give a person another token, shown once; the former one and its sessions end."""
    platform = open_platform(existing=True)
    given = token_or_prompt(platform, token)
    _show(renew_token(platform, person, days=days, by=name, token=given), json_output=json_output)


@app.command("list")
def list_command(json_output: JsonOption = False) -> None:
    """List the people with their roles, without their tokens."""
    people = list_people(open_platform(existing=True))
    if json_output:
        print_facts(people)
        return
    if not people:
        echo("nobody is registered, names are taken on trust; begin with")
        echo("flywheel people add NAME --role admin --role approver --as NAME")
        return
    table = Table("name", "e-mail", "roles", "state", "token", "expires", "last used")
    for one in people:
        expires = f"{one.expires_at:%Y-%m-%d}" if one.expires_at else "never"
        last = f"{one.last_used_at:%Y-%m-%d %H:%M}" if one.last_used_at else "never"
        roles = ", ".join(one.roles)
        table.add_row(one.name, one.email or "-", roles, one.state, one.token_id, expires, last)
    Console().print(table)


@app.command()
def roles(
    person: PersonArgument,
    role: _Roles,
    reason: Annotated[str, typer.Option(help="why; recorded in the audit")],
    name: NameOption = None,
    token: TokenOption = None,
    json_output: JsonOption = False,
) -> None:
    """Give a person other roles than before; these take the place of all former ones."""
    platform = open_platform(existing=True)
    changed = change_roles(
        platform,
        person,
        roles=role,
        reason=reason,
        by=name,
        token=token_or_prompt(platform, token),
    )
    if json_output:
        print_facts(changed)
        return
    echo(f"{changed.name} is {', '.join(changed.roles)}")


@app.command()
def revoke(
    person: PersonArgument,
    reason: Annotated[str, typer.Option(help="why; recorded in the audit")],
    name: NameOption = None,
    token: TokenOption = None,
    json_output: JsonOption = False,
) -> None:
    """Revoke a person for good; open sessions end at once. Safe to run again."""
    platform = open_platform(existing=True)
    revoked = revoke_person(
        platform, person, reason=reason, by=name, token=token_or_prompt(platform, token)
    )
    if json_output:
        print_facts(revoked)
        return
    echo(f"{revoked.name} is revoked")


def _show(new: NewToken, *, json_output: bool) -> None:
    if json_output:
        print_facts(new)
        return
    echo(new.token)
    typer.echo(
        f"Token of {new.name}, valid until {new.expires_at:%Y-%m-%d}: it is not shown again.",
        err=True,
    )

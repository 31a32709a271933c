"""`flywheel keys create | list | revoke`: keys with which applications reach the gateway."""

from typing import Annotated

import typer
from rich.table import Table

from flywheel.cli.console import Console, echo
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.usecases.keys import KeyBounds, KeyStatus, create_key, list_keys, revoke_key
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Keys with which applications reach the gateway.")
_As = Annotated[str, typer.Option("--as", help="who does this; recorded in the audit")]


@app.command()
def create(  # noqa: PLR0913, PLR0917 - an option for each bound of a key
    client: Annotated[str, typer.Argument(help="name of the application in its events")],
    name: _As,
    workload: Annotated[
        list[str] | None, typer.Option(help="workload that it may ask; repeatable; default: all")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="expires after; default: never")] = None,
    per_minute: Annotated[
        int | None, typer.Option(min=1, help="requests a minute; default: no limit")
    ] = None,
    tokens_per_day: Annotated[
        int | None, typer.Option(min=1, help="tokens in and out, a day in UTC; default: no limit")
    ] = None,
    at_once: Annotated[
        int | None,
        typer.Option(min=1, help="requests at a time in each gateway process; default: no limit"),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Create a key and show it once; only its hash is kept."""
    new = create_key(
        open_platform(existing=True),
        client,
        person=name,
        workloads=workload or (),
        days=days,
        limits=KeyBounds(per_minute, tokens_per_day, at_once),
    )
    if json_output:
        print_facts(new)
        return
    echo(new.key)
    typer.echo(f"Key {new.key_id} of {client}: it is not shown again.", err=True)


@app.command("list")
def list_command(json_output: JsonOption = False) -> None:
    """List the keys, without their secrets."""
    keys = list_keys(open_platform(existing=True))
    if json_output:
        print_facts(keys)
        return
    if not keys:
        echo("no keys; make one with `flywheel keys create CLIENT --as NAME`")
        return
    table = Table("key", "client", "workloads", "limits", "state", "last used")
    for key in keys:
        last = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
        scope = ", ".join(key.workloads) or "all"
        table.add_row(key.key_id, key.client_id, scope, _limits(key), key.state, last)
    Console().print(table)


def _limits(key: KeyStatus) -> str:
    limits = (
        (key.requests_per_minute, "requests a minute"),
        (key.tokens_per_day, "tokens a day"),
        (key.requests_at_once, "at a time, each process"),
    )
    return ", ".join(f"{limit:,} {what}" for limit, what in limits if limit is not None) or "none"


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="id of the key, see `flywheel keys list`")],
    name: _As,
    reason: Annotated[str, typer.Option(help="why; recorded in the audit")],
    json_output: JsonOption = False,
) -> None:
    """Revoke a key for good; the gateway refuses it within a second. Safe to run again."""
    key = revoke_key(open_platform(existing=True), key_id, person=name, reason=reason)
    if json_output:
        print_facts(key)
        return
    echo(f"key {key.key_id} of {key.client_id} is revoked")

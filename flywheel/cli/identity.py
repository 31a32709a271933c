"""`NameOption`, `TokenOption` and `person_who_acts`: who runs a command, by name or by token."""

import sys
from typing import Annotated

import typer

from flywheel.usecases.identity import Actor, Right, acting_person, people_are_registered
from flywheel.wiring import Platform

__all__ = ["NameOption", "TokenOption", "person_who_acts", "token_or_prompt"]

NameOption = Annotated[
    str | None,
    typer.Option(
        "--as",
        help="your name; taken on trust, and recorded so, while no person is registered",
    ),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="FLYWHEEL_TOKEN",
        show_envvar=True,
        help="your personal token, once people are registered; asked for in a terminal",
    ),
]


def person_who_acts(platform: Platform, name: str | None, token: str | None, right: Right) -> Actor:
    """Return who acts; asks for the token in a terminal where one is needed and none was given.

    Raises:
        RefusedError: who acts is not known, or may not do this.
    """
    return acting_person(platform, name=name, token=token_or_prompt(platform, token), right=right)


def token_or_prompt(platform: Platform, token: str | None) -> str | None:
    """Return the token that was given, or that a person types where people are registered."""
    if token is not None or not people_are_registered(platform) or not sys.stdin.isatty():
        return token
    return str(typer.prompt("Your personal token", hide_input=True, err=True))

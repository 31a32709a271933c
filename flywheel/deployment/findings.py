"""One thing that `flywheel doctor` looked at, and how it prints without secrets."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pydantic import SecretStr
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from flywheel.errors import FlywheelError
from flywheel.settings import Settings

__all__ = ["Finding", "checked", "masked"]

_STARS = "***"


@dataclass(frozen=True)
class Finding:
    """What was looked at, whether it is well, and a word on it.

    A ``warning`` says what the settings cannot deliver; it is shown and fails nothing.
    """

    what: str
    good: bool
    detail: str
    warning: bool = False


def checked(subject: str, check: Callable[[], str]) -> Finding:
    """Run a check and return its result; a FlywheelError becomes a failed finding."""
    try:
        return Finding(subject, True, check())
    except FlywheelError as error:
        return Finding(subject, False, str(error))


def masked(text: str, settings: Settings) -> str:
    """Return a text in which no secret of the settings is left."""
    for secret in sorted(_secrets(settings), key=len, reverse=True):
        text = text.replace(secret, _STARS)
    return text


def _secrets(settings: Settings) -> Iterator[str]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if not isinstance(value, SecretStr):
            continue
        plain = value.get_secret_value()
        if plain:
            yield plain
        try:
            password = make_url(plain).password
        except (ArgumentError, ValueError):
            continue
        if password:
            yield str(password)

"""Passwords and tokens of a set of services: made once, each in a file that its owner alone reads."""

import secrets
from pathlib import Path

from flywheel.io.atomic import write_text

__all__ = ["keep", "made_once"]


def made_once(folder: Path, name: str) -> str:
    """Return a password, which is made the first time."""
    file = folder / name
    if not file.exists():
        keep(folder, name, secrets.token_hex(24))
    return file.read_text()


def keep(folder: Path, name: str, value: str) -> None:
    """Write a password or token, whole or not at all."""
    write_text(folder / name, value, private=True)

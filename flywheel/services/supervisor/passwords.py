"""Passwords and tokens of a set of services: made once, each in a file that its owner alone reads."""

import os
import secrets
from pathlib import Path

__all__ = ["keep", "made_once"]


def made_once(folder: Path, name: str) -> str:
    """Return a password, which is made the first time."""
    file = folder / name
    if not file.exists():
        keep(folder, name, secrets.token_hex(24))
    return file.read_text()


def keep(folder: Path, name: str, value: str) -> None:
    """Write a password or token, whole or not at all."""
    scratch = folder / f"{name}.part"
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as output:
        output.write(value)
    scratch.replace(folder / name)

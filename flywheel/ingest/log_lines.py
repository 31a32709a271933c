"""Structured log lines: one JSON object each, about events but never with their content."""

import json
from collections.abc import Callable
from typing import Any, TextIO

from flywheel.clock import Clock

__all__ = ["Say", "json_lines"]

Say = Callable[..., None]


def json_lines(stream: TextIO, clock: Clock) -> Say:
    """Return a function that writes a line: the name of what happened, then its figures."""

    def say(happened: str, **figures: Any) -> None:
        line = {"at": clock.now().isoformat(timespec="milliseconds"), "event": happened}
        print(json.dumps(line | figures, default=str), file=stream, flush=True)

    return say

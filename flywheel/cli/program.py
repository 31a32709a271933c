"""A program that runs long and tells a person what it does: `make demo`, `make loop`."""

import json
import logging
import os
import warnings
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.text import Text

from flywheel.errors import FlywheelError
from flywheel.io.garbage import collect_seldom

__all__ = ["run_program"]


def run_program(
    run: Callable[[Console], dict[str, Any]], *, as_json: bool
) -> dict[str, Any] | None:
    """Run it with its libraries quiet; return its summary, or None where it told of an error.

    Args:
        run: the work; it is given the console that its lines go to.
        as_json: the summary goes to standard output, and all lines to standard error.
    """
    console = Console(stderr=as_json, highlight=False)
    collect_seldom()
    _quiet()
    try:
        summary = run(console)
    except FlywheelError as error:
        console.print(Text(f"{type(error).__name__}: {error.message}", style="red"))
        console.print(Text(f"next: {error.next_step}"))
        return None
    if as_json:
        print(json.dumps(summary, indent=2, default=str))  # noqa: T201 - the machine's answer
    return summary


def _quiet() -> None:
    # Progress bars and notices of libraries would break up the program's own lines; errors still
    # raise, and Dagster keeps its full log in the instance.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # OpenMP's threads spin while they wait, which makes a busy machine many times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ["TQDM_DISABLE"] = "1"
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)

"""The command line: thin commands that open the platform and call one function each."""

import importlib
import os
import sys
from typing import Any

__all__ = ["build_app", "main"]

# Modules whose typer app is added, by the name of its command group; None: at the top level.
_MODULES: dict[str, str | None] = {
    "workloads": None,
    "base": "base",
    "importing": None,
    "topics": "topics",
    "schema": None,
    "ingest": None,
    "dlq": "dlq",
    "review": "review",
    "annotators": "annotators",
    "webhooks": None,
    "dataset": "dataset",
    "drift": None,
    "cycles": None,
    "registry": "registry",
    "release": None,
    "state": "state",
    "audit": "audit",
    "backup": None,
    "status": None,
    "doctor": None,
    "verify": None,
    "simulation": None,
    "interface": None,
    "services": "services",
}


def build_app() -> Any:
    """Assemble the commands of every area."""
    import typer  # noqa: PLC0415 - the command line alone needs it

    app = typer.Typer(
        name="flywheel",
        help="An event-driven data flywheel for small language models.",
        no_args_is_help=True,
        pretty_exceptions_show_locals=False,
        rich_markup_mode="rich",
    )

    @app.callback()
    def version_callback() -> None:
        """Settings come from FLYWHEEL_* variables and flywheel.toml."""

    for module, group in _MODULES.items():
        area = importlib.import_module(f"flywheel.cli.{module}")
        app.add_typer(area.app, name=group)
    return app


def main() -> None:
    """Run a command; an error says what happened and what to do, without a traceback."""
    # OpenMP's threads spin while they wait, which makes a busy machine many times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from flywheel.errors import FlywheelError  # noqa: PLC0415 - (as above)

    try:
        build_app()()
    except FlywheelError as error:
        from rich.console import Console  # noqa: PLC0415 - (as above)
        from rich.text import Text  # noqa: PLC0415 - (as above)

        console = Console(stderr=True)
        console.print(Text.assemble((f"{type(error).__name__}: ", "bold red"), error.message))
        if error.next_step:
            console.print(Text.assemble(("next: ", "bold"), error.next_step))
        sys.exit(1)

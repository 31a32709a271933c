"""`flywheel backup` and `flywheel restore`: a deployment's home, copied while it runs."""

from pathlib import Path
from typing import Annotated

import typer

from flywheel.cli.console import Console
from flywheel.cli.deployment import open_deployment
from flywheel.settings import load_settings, restrict_files

__all__ = ["app"]

app = typer.Typer()
_console = Console()


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="a new folder, outside of the home")],
) -> None:
    """Copy state, log, lake, queue, datasets, adapters, bases, MLflow and workloads into a folder.

    Everything may go on meanwhile. What is not in it is printed; the folder holds people's texts.
    """
    from flywheel.turn.backup import back_up  # noqa: PLC0415 - commands load what they use

    done = back_up(open_deployment(), target)
    _say(f"{done.folder}: {done.files:,} files, {done.size / 2**20:,.1f} MiB")
    _say_missing(done.not_included)
    _say("Try it: flywheel restore FOLDER --home NEW, then FLYWHEEL_HOME=NEW flywheel verify")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="a folder that `flywheel backup` filled")],
    home: Annotated[
        Path | None, typer.Option(help="empty or new folder; default: FLYWHEEL_HOME")
    ] = None,
) -> None:
    """Put a backup into a new home; every file is checked against the backup's list first."""
    from flywheel.turn.restore import restore as put_back  # noqa: PLC0415 - (as above)

    settings = load_settings()
    restrict_files(settings)
    done = put_back(source, home or settings.home)
    _say(f"{done.home}: {done.files:,} files of {done.made_at}")
    _say_missing(done.not_included)
    _say(f"Next: FLYWHEEL_HOME={done.home} flywheel verify")


def _say_missing(sentences: tuple[str, ...]) -> None:
    for sentence in sentences:
        _say(f"not in the backup: {sentence}")


def _say(text: str) -> None:
    _console.print(text, markup=False, highlight=False, soft_wrap=True)

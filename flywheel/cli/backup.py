"""`flywheel backup` and `flywheel restore`: a deployment's home, copied while it runs."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.settings import load_settings
from flywheel.wiring import open_platform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flywheel.usecases.erasing.run import ErasureReport

__all__ = ["app"]

app = typer.Typer()
_console = Console()


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="a new folder, outside of the home")],
    json_output: JsonOption = False,
) -> None:
    """Copy state, log, lake, queue, datasets, adapters, bases, MLflow and workloads into a folder.

    Everything may keep running meanwhile. What is not in it is printed; the folder holds people's texts.
    """
    from flywheel.deployment.backup import back_up

    done = back_up(open_platform(existing=True), target)
    if json_output:
        print_facts(done)
        return
    _say(f"{done.folder}: {done.files:,} files, {done.size / 2**20:,.1f} MiB")
    _say_missing(done.not_included)
    _say("Try it: flywheel restore FOLDER --home NEW, then FLYWHEEL_HOME=NEW flywheel verify")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="a folder that `flywheel backup` filled")],
    home: Annotated[
        Path | None, typer.Option(help="empty or new folder; default: FLYWHEEL_HOME")
    ] = None,
    erasures: Annotated[
        Path | None,
        typer.Option(help="erasures.jsonl of the deployment, for a backup that was moved away"),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Put a backup into a new home; every file is checked against the backup's list first.

    Persons who were erased since the backup are erased again. The lake goes where FLYWHEEL_LAKE says.
    """
    from flywheel.deployment.restore import restore as put_back

    settings = load_settings()
    done = put_back(source, home or settings.home, erasures=erasures, lake=settings.lake)
    reports = _erase_again(done.home) if done.erased else []
    if json_output:
        print_facts(asdict(done) | {"erased_again": reports})
        return
    _say(f"{done.home}: {done.files:,} files of {done.made_at}")
    _say_missing(done.not_included)
    for report in reports:
        count = sum(receipt.count for receipt in report.receipts)
        ending = "" if report.complete else "; NOT COMPLETE: see `flywheel erasures`"
        _say(f"erased again: {report.subject_id} ({count} things){ending}")
    _say(f"Next: FLYWHEEL_HOME={done.home} flywheel verify")


def _erase_again(home: Path) -> "Sequence[ErasureReport]":
    from flywheel.usecases.erasing.restored import finish_restore
    from flywheel.wiring import Platform

    platform = Platform(load_settings(home=home))
    try:
        return finish_restore(platform)
    finally:
        platform.close()


def _say_missing(sentences: tuple[str, ...]) -> None:
    for sentence in sentences:
        _say(f"not in the backup: {sentence}")


def _say(text: str) -> None:
    _console.print(text, markup=False, highlight=False, soft_wrap=True)

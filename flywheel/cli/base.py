"""`flywheel base build | list | show | verify | precision`: the base models that adapters stand on."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console, echo
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.cli.progress import ProgressLines
from flywheel.wiring import open_platform

if TYPE_CHECKING:
    from flywheel.usecases.base_precision import PrecisionStudy

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Base models.")
_console = Console()


@app.callback()
def base() -> None:
    """Base models."""


@app.command()
def build(
    name: str | None = typer.Argument(
        None,
        help="tiny, smollm2, a folder, or a hub name such as owner/model; default: base_model of "
        "the workload file, which it must agree with; or that of one of its tiers",
    ),
    workload: str = typer.Option(..., "--workload", "-w", help="workload whose adapters it gets"),
    texts: Path | None = typer.Option(
        None, help="CSV with unlabeled inputs for tiny; default: the workload's texts in the lake"
    ),
    text_column: str = typer.Option("text", help="its column with the inputs"),
    replace: bool = typer.Option(
        False, "--replace", help="build another base although a release stands on the present one"
    ),
    beside: bool = typer.Option(
        False,
        "--beside",
        help="build a base that the file does not name, for a cycle or bake-off that names it",
    ),
    json_output: JsonOption = False,
) -> None:
    """Build a base model, or find it in the cache, and remember it for the workload.

    The model is placed into the deployment's home. Safe to run again.
    """
    from flywheel.usecases.base_model import TextFile, build_workload_base

    platform = open_platform(existing=True)
    _hide_bars()
    # Lines beside the facts in JSON go to standard error.
    console = Console(stderr=json_output)
    with ProgressLines(console) as lines:
        model = build_workload_base(
            platform,
            platform.workload(workload),
            name,
            texts=None if texts is None else TextFile(texts, text_column),
            replace=replace,
            beside=beside,
            on_notice=lambda line: console.print(_notice(line), soft_wrap=True),
            on_progress=lines.show,
        )
    if json_output:
        print_facts(model)
        return
    where = Text.assemble((model.name, "bold"), f" {model.digest[:16]} in {model.folder}")
    _console.print(where, soft_wrap=True)


@app.command("list")
def list_command(json_output: JsonOption = False) -> None:
    """List the base model of every workload: where it came from, and whether it can be used."""
    from flywheel.usecases.bases import list_bases

    bases = list_bases(open_platform(existing=True))
    if json_output:
        print_facts(bases)
        return
    table = Table("workload", "base", "digest", "origin", "license", "MB", "state")
    for one in bases:
        facts = (one.digest or "")[:16], one.origin or "", one.license or "not stated"
        size = f"{one.bytes / 1e6:,.1f}"
        cells = (*facts, size) if one.digest else ("", "", "", "")
        table.add_row(one.workload_id, one.name, *cells, Text(one.problem or "usable"))
    _console.print(table)


@app.command()
def show(
    workload: str = typer.Argument(metavar="WORKLOAD", help="whose base model is meant"),
    json_output: JsonOption = False,
) -> None:
    """Show a workload's base model: origin, revision, license, and the sha256 of every file."""
    from flywheel.usecases.bases import base_of

    platform = open_platform(existing=True)
    base = base_of(platform, platform.workload(workload))
    if json_output:
        print_facts(base)
        return
    echo(f"{base.name} {base.digest} in {base.folder}")
    echo(f"origin: {base.origin}")
    echo(f"revision: {base.revision or 'not stated'}")
    echo(f"license: {base.license or 'not stated'}")
    for file in base.files:
        echo(f"{file.sha256}  {file.size:>14,}  {file.path}")


@app.command()
def verify(
    workload: str | None = typer.Argument(None, metavar="WORKLOAD", help="default: all of them"),
    json_output: JsonOption = False,
) -> None:
    """Read every byte of the base models again and compare it with their manifests.

    A model that was changed by one byte does not train, judge or serve. Exit code 1: one was, or is
    not there.
    """
    from flywheel.usecases.bases import verify_bases

    bases = verify_bases(open_platform(existing=True), workload)
    if json_output:
        print_facts(bases)
    else:
        for one in bases:
            echo(
                f"{one.workload_id}: {one.problem or f'{one.name}, {len(one.files)} files unchanged'}"
            )
    if any(one.problem for one in bases):
        raise typer.Exit(1)


@app.command()
def precision(
    workload: str = typer.Argument(metavar="WORKLOAD", help="whose base model is meant"),
    precisions: str | None = typer.Option(
        None, help="float32, bfloat16, int8, nf4, separated by commas; default: all"
    ),
    release: str | None = typer.Option(None, help="whose adapter answers; default: the champion"),
    cases: int | None = typer.Option(
        None, min=1, help="golden cases, from the first; default: all"
    ),
    json_output: JsonOption = False,
) -> None:
    """Measure accuracy, size and speed of the base at 32, 16, 8 and 4 bits on the golden set.

    Nothing changes: FLYWHEEL_SERVED_PRECISION decides what answers and what the gate judges.
    """
    from flywheel.usecases.base_precision import measure_precisions, read_precisions

    chosen = None if precisions is None else read_precisions(precisions)
    platform = open_platform(existing=True)
    _hide_bars()
    with ProgressLines(Console(soft_wrap=True, stderr=True)) as lines:
        study = measure_precisions(
            platform,
            platform.workload(workload),
            precisions=chosen,
            release=release,
            cases=cases,
            on_progress=lines.show,
        )
    if json_output:
        print_facts(study)
        return
    _console.print(_precision_table(study))


def _precision_table(study: "PrecisionStudy") -> Table:
    table = Table(
        title=f"{study.workload_id}, release {study.release}: {study.cases} golden cases",
        caption="gained, lost: cases against the precision that is served; MB: the base's weights",
    )
    for column in ("precision", "exact", "gained", "lost", "field F1", "MB", "answers/s"):
        table.add_column(column, justify="left" if column == "precision" else "right")
    for one in study.figures:
        name = f"{one.precision} (served)" if one.is_served else one.precision
        if one.right is None or one.bytes is None or one.answers_per_second is None:
            table.add_row(name, Text(f"not measured: {one.problem}"))
            continue
        table.add_row(
            name,
            f"{one.right / study.cases:.3f}",
            str(one.gained),
            str(one.lost),
            "-" if one.field_f1 is None else f"{one.field_f1:.3f}",
            f"{one.bytes / 1e6:,.1f}",
            f"{one.answers_per_second:.2f}",
        )
    return table


def _notice(line: str) -> Text:
    return Text(line, style="yellow" if line.startswith("note:") else "")


def _hide_bars() -> None:
    # Bars of files being written would stand between the command's lines.
    os.environ.setdefault("TQDM_DISABLE", "1")

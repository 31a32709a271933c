"""`flywheel backfill`: answers of a release and sentence vectors for earlier calls or a file's texts."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.arguments import WorkloadArgument
from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.cli.progress import ProgressLines
from flywheel.errors import ConfigurationError
from flywheel.usecases.backfill import PART_ROWS
from flywheel.wiring import open_platform

if TYPE_CHECKING:
    from flywheel.usecases.backfill.run import BackfillReport, Days, PartDone
    from flywheel.usecases.backfill.text_file import TextFile

__all__ = ["app"]

app = typer.Typer(
    help="Answers of a release, or sentence vectors, for earlier calls or a file of texts."
)
_console = Console()

_FORMATS = ["%Y-%m-%d"]
_FIRST_DAY, _LAST_DAY = "first day of the calls, in UTC", "last day of the calls, included"
_First = Annotated[datetime | None, typer.Option("--from", formats=_FORMATS, help=_FIRST_DAY)]
_Last = Annotated[datetime | None, typer.Option("--to", formats=_FORMATS, help=_LAST_DAY)]
_Texts = Annotated[
    Path | None,
    typer.Option(help="texts of a CSV, TSV, JSONL or Parquet file, in place of calls"),
]
_Id = Annotated[str, typer.Option("--id", help="column of the ids in that file")]
_Text = Annotated[str, typer.Option("--text", help="column of the texts in that file")]
_PartRows = Annotated[
    int, typer.Option(min=1, help="about how many texts land at once; a crash costs no more")
]
_Workers = Annotated[int, typer.Option(min=1, help="most workers at once, on a Ray cluster")]


@app.command()
def answer(  # noqa: PLR0913, PLR0917 - what a person chooses
    workload: WorkloadArgument,
    release: Annotated[str, typer.Option(help="release that answers; base: without an adapter")],
    first: _First = None,
    last: _Last = None,
    texts: _Texts = None,
    id_column: _Id = "id",
    text_column: _Text = "text",
    part_rows: _PartRows = PART_ROWS,
    workers: _Workers = 1,
    json_output: JsonOption = False,
) -> None:
    """Let a release answer earlier calls or a file's texts, into the lake's table backfill_answers.

    Stop it whenever you like and repeat the command: what has landed is left out. It works on the
    Ray cluster where trainings run there, and else in this process. No figure of production counts
    these answers.
    """
    from flywheel.usecases.backfill.run import backfill_answers

    chosen = _chosen(first, last, texts, id_column, text_column)
    _run(
        workload,
        lambda platform, its, **how: backfill_answers(platform, its, release, chosen, **how),
        part_rows,
        workers,
        as_json=json_output,
    )


@app.command()
def embed(  # noqa: PLR0913, PLR0917 - what a person chooses
    workload: WorkloadArgument,
    first: _First = None,
    last: _Last = None,
    texts: _Texts = None,
    id_column: _Id = "id",
    text_column: _Text = "text",
    part_rows: _PartRows = PART_ROWS,
    workers: _Workers = 1,
    json_output: JsonOption = False,
) -> None:
    """Make sentence vectors of earlier calls or a file's texts, into the lake's table text_vectors.

    It stops and resumes as `backfill answer` does.
    """
    from flywheel.usecases.backfill.run import backfill_vectors

    chosen = _chosen(first, last, texts, id_column, text_column)
    _run(
        workload,
        lambda platform, its, **how: backfill_vectors(platform, its, chosen, **how),
        part_rows,
        workers,
        as_json=json_output,
    )


def _chosen(
    first: datetime | None, last: datetime | None, file: Path | None, id_column: str, text: str
) -> "Days | TextFile":
    from flywheel.usecases.backfill.run import Days
    from flywheel.usecases.backfill.text_file import TextFile

    if file is not None and first is None and last is None:
        return TextFile(file, id_column, text)
    if file is None and first is not None and last is not None:
        return Days(first.date(), last.date())
    raise ConfigurationError(
        "It is not said which texts are meant.",
        next_step="give --from and --to for calls of the lake, or --texts for a file",
    )


def _run(
    workload: str,
    backfill: "Callable[..., BackfillReport]",
    part_rows: int,
    workers: int,
    *,
    as_json: bool,
) -> None:
    from flywheel.usecases.backfill.run import executor_of

    platform = open_platform(existing=True)
    with _Progress(as_json=as_json) as progress:
        report = backfill(
            platform,
            platform.workload(workload),
            part_rows=part_rows,
            executor=executor_of(platform, workers=workers),
            on_part=progress.show_part,
            on_notice=progress.notice,
        )
    _print_report(report, as_json=as_json)


@app.command()
def status(
    workload: WorkloadArgument,
    first: Annotated[datetime, typer.Option("--from", formats=_FORMATS, help=_FIRST_DAY)],
    last: Annotated[datetime, typer.Option("--to", formats=_FORMATS, help=_LAST_DAY)],
    json_output: JsonOption = False,
) -> None:
    """Show by day how many calls have an answer or a vector. Changes nothing."""
    from flywheel.usecases.backfill.progress import backfill_progress

    platform = open_platform(existing=True)
    workload_id = platform.workload(workload).id
    makers = backfill_progress(platform, workload_id, first.date(), last.date())
    if json_output:
        print_facts(makers)
        return
    table = Table("table", "by", "day", "texts", "done", "failed", "missing")
    for maker in makers:
        for day in maker.days:
            counts = (day.texts, day.done, day.failed, day.missing)
            name = Text(maker.maker)
            table.add_row(maker.table, name, f"{day.day}", *(f"{one:,}" for one in counts))
    _console.print(table if makers else f"no backfill of {workload_id} in these days")


class _Progress(ProgressLines):
    """Progress by part; with JSON, on standard error."""

    def __init__(self, *, as_json: bool) -> None:
        self._lines = Console(stderr=as_json)
        super().__init__(self._lines)

    def show_part(self, part: "PartDone") -> None:
        """Show a part that has landed."""
        self.show(f"{part.day}, part {part.part}", part.done, part.texts)

    def notice(self, text: str) -> None:
        """Print a sentence of where the work is done."""
        self._lines.print(Text(text))


def _print_report(report: "BackfillReport", *, as_json: bool) -> None:
    if as_json:
        print_facts(report)
        return
    texts = sum(day.texts for day in report.days)
    _console.print(
        f"{report.table}: {report.landed:,} rows landed, {report.known:,} were there, of {texts:,} "
        f"texts from {report.first} to {report.last}"
    )
    if report.failed:
        _console.print(f"{report.failed:,} texts have no answer: their rows say why (column error)")

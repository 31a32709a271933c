"""`flywheel backfill`: answers of a release and sentence vectors for the calls of earlier days."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.arguments import WorkloadArgument
from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.cli.progress import ProgressLines
from flywheel.usecases.backfill import PART_ROWS
from flywheel.wiring import open_platform

if TYPE_CHECKING:
    from flywheel.usecases.backfill.run import BackfillReport, PartDone

__all__ = ["app"]

app = typer.Typer(help="Answers of a release, or sentence vectors, for calls of earlier days.")
_console = Console()

_FORMATS = ["%Y-%m-%d"]
_From = Annotated[
    datetime, typer.Option("--from", formats=_FORMATS, help="first day of the calls, in UTC")
]
_To = Annotated[
    datetime, typer.Option("--to", formats=_FORMATS, help="last day of the calls, included")
]
_PartRows = Annotated[
    int, typer.Option(min=1, help="about how many texts land at once; a crash costs no more")
]
_Workers = Annotated[int, typer.Option(min=1, help="most workers at once, on a Ray cluster")]


@app.command()
def answer(
    workload: WorkloadArgument,
    release: Annotated[str, typer.Option(help="release that answers; base: without an adapter")],
    first: _From,
    last: _To,
    part_rows: _PartRows = PART_ROWS,
    workers: _Workers = 1,
    json_output: JsonOption = False,
) -> None:
    """Let a release answer the texts of earlier calls, into the lake's table backfill_answers.

    Stop it whenever you like and repeat the command: what has landed is left out. It works on the
    Ray cluster where trainings run there, and else in this process. No figure of production counts
    these answers.
    """
    from flywheel.usecases.backfill.run import backfill_answers, executor_of

    platform = open_platform(existing=True)
    with _Progress(as_json=json_output) as progress:
        report = backfill_answers(
            platform,
            platform.workload(workload),
            release,
            first.date(),
            last.date(),
            part_rows=part_rows,
            executor=executor_of(platform, workers=workers),
            on_part=progress.show_part,
            on_notice=progress.notice,
        )
    _print_report(report, as_json=json_output)


@app.command()
def embed(
    workload: WorkloadArgument,
    first: _From,
    last: _To,
    part_rows: _PartRows = PART_ROWS,
    workers: _Workers = 1,
    json_output: JsonOption = False,
) -> None:
    """Make sentence vectors of the texts of earlier calls, into the lake's table text_vectors.

    It stops and resumes as `backfill answer` does.
    """
    from flywheel.usecases.backfill.run import backfill_vectors, executor_of

    platform = open_platform(existing=True)
    with _Progress(as_json=json_output) as progress:
        report = backfill_vectors(
            platform,
            platform.workload(workload),
            first.date(),
            last.date(),
            part_rows=part_rows,
            executor=executor_of(platform, workers=workers),
            on_part=progress.show_part,
            on_notice=progress.notice,
        )
    _print_report(report, as_json=json_output)


@app.command()
def status(
    workload: WorkloadArgument, first: _From, last: _To, json_output: JsonOption = False
) -> None:
    """Show by day how many texts have an answer or a vector. Changes nothing."""
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

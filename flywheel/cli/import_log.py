"""`show_log_import`: what `flywheel import` prints of a log of model calls."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.cli.facts import print_facts
from flywheel.events.reasons import Reason
from flywheel.io.spelling import show_invisible
from flywheel.usecases.import_log import LogImport
from flywheel.workload.model import Workload

if TYPE_CHECKING:
    from flywheel.ingest.import_report import ImportReport, LineGroup

__all__ = ["show_log_import"]

_console = Console(highlight=False)
_ANSWERS = ("parsed", "refused", "unparseable", "failed")


def show_log_import(done: LogImport, workload: Workload, file: Path, *, as_json: bool) -> None:
    """Print what became of the records of a log."""
    if as_json:
        print_facts(done.report.figures())
        return
    _show(done.report, workload, file, done.time)


def _show(report: "ImportReport", workload: Workload, file: Path, time: datetime) -> None:
    formats = ", ".join(f"{name} {count:,}" for name, count in sorted(report.formats.items()))
    _print(f"{report.lines:,} records of {file.name} for {workload.id} ({formats or 'none read'})")
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for name in _ANSWERS:
        group = report.answers.get(name)
        if group is None:
            table.add_row(name, "0", "")
        else:
            table.add_row(name, f"{group.count:,}", _lines(group, with_example=name != "parsed"))
    if report.imported_before.count:
        before = report.imported_before
        table.add_row("imported before", f"{before.count:,}", _lines(before))
    for reason, group in sorted(report.dead.items()):
        table.add_row(f"dead: {reason}", f"{group.count:,}", _lines(group, with_example=True))
    _console.print(table)
    if report.masked:
        counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(report.masked.items()))
        _print(f"note: masked before they were kept: {counts}.")
    for note in _notes(report, time):
        _print(note)


_GROUP_NOTES = {
    "without_zone": "a time without a zone; --timezone says which.",
    "numbers_dropped": "numbers that JSON does not have (NaN, Infinity); they became null.",
    "repeated": "the id, text and answer of an earlier line: counted once. Where the server repeats "
    "its ids, give each record an inference_id of its own.",
}


def _notes(report: "ImportReport", time: datetime) -> list[str]:
    notes = []
    counts = {name: group.count for name, group in report.answers.items()}
    if counts.get("unparseable", 0) > counts.get("parsed", 0):
        notes.append(
            "note: most answers are not the workload's: compare its labels or schema with the "
            "example above before you call the model bad."
        )
    if report.without_time.count:
        notes.append(
            f"note: {_where(report.without_time)} no time; {time:%Y-%m-%d %H:%M} UTC was taken. "
            "Say when it was with --time."
        )
    for name, what in _GROUP_NOTES.items():
        group = getattr(report, name)
        if group.count:
            notes.append(f"note: {_where(group)} {what}")
    if report.broken_off is not None:
        notes.append(f"broken off: {report.broken_off}")
    if Reason.UNKNOWN_WORKLOAD in report.dead:
        notes.append(
            f"note: {_where(report.dead[Reason.UNKNOWN_WORKLOAD])} another workload's id; "
            "--source-workload ID takes the records of ID for those of --workload."
        )
    if report.unreadable:
        notes.append(
            "Dead letters: `flywheel ingest`, then `flywheel dlq groups`; repair them with "
            "`flywheel dlq export` and `flywheel dlq replay --file`."
        )
    if report.events:
        notes.append("Land them with `flywheel ingest`.")
    elif not report.unreadable:
        notes.append("Nothing new to land.")
    return notes


def _where(group: "LineGroup") -> str:
    has = "has" if group.count == 1 else "have"
    return f"{group.count:,} ({_lines(group)}) {has}"


def _lines(group: "LineGroup", *, with_example: bool = False) -> str:
    if not group.count:
        return ""
    more = ", …" if group.count > len(group.lines) else ""
    numbers = f"{'line' if group.count == 1 else 'lines'} {', '.join(map(str, group.lines))}{more}"
    return (
        f"{numbers}: {show_invisible(group.example, limit=200)}"
        if with_example and group.example
        else numbers
    )


def _print(line: str) -> None:
    _console.print(Text(line))

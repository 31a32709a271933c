"""`import_log`: the part of `flywheel import` that takes a log of model calls."""

import json
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.errors import ConfigurationError, EventError
from flywheel.events import EventContract
from flywheel.events.foreign import FORMATS, read_moment
from flywheel.ingest.import_events import ImportOptions, batch_requests
from flywheel.ingest.import_lines import read_lines
from flywheel.ingest.import_records import import_records
from flywheel.ingest.import_report import ImportReport, LineGroup
from flywheel.io.spelling import show_invisible
from flywheel.wiring import Platform
from flywheel.workload.model import Workload

__all__ = ["LogChoices", "import_log"]

_console = Console(highlight=False)
_ANSWERS = ("parsed", "refused", "unparseable", "failed")


@dataclass(frozen=True)
class LogChoices:
    """Options of the command for a log, as they were typed."""

    format_name: str | None
    client: str
    subject: str | None
    requests: Path | None
    timezone: str
    time: str | None


def import_log(
    platform: Platform, workload: Workload, file: Path, choices: LogChoices, *, as_json: bool
) -> bool:
    """Import a log, print the report, and return whether anything in it was good.

    Raises:
        ConfigurationError: an option is not what it must be.
    """
    now = platform.clock.now()
    options = _options(choices, platform.settings.hash_key.get_secret_value())
    report = import_records(
        platform.log,
        platform.lake,
        workload,
        file,
        options=options,
        contract=EventContract(platform.workloads.values()),
        now=now,
    )
    if as_json:
        typer.echo(json.dumps(report.figures()))
    else:
        _show(report, workload, file, options.time or now)
    return not report.nothing_good and report.broken_off is None


def _options(choices: LogChoices, hash_key: str) -> ImportOptions:
    if choices.format_name is not None and choices.format_name not in FORMATS:
        raise ConfigurationError(
            f"There is no format {choices.format_name!r}.",
            next_step=f"choose csv, {', '.join(FORMATS)}, or auto",
        )
    zone: tzinfo
    try:
        zone = ZoneInfo(choices.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(
            f"There is no time zone {choices.timezone!r}.",
            next_step="name it as in the IANA database, for example Europe/Berlin",
        ) from None
    time: datetime | None = None
    if choices.time is not None:
        try:
            time, _ = read_moment(choices.time, zone)
        except EventError as error:
            raise ConfigurationError(
                f"--time: {error.message}", next_step="write for example --time 2026-03-01T12:00"
            ) from error
    return ImportOptions(
        client_id=choices.client,
        format_name=choices.format_name,
        zone=zone,
        time=time,
        subject_path=choices.subject,
        hash_key=hash_key,
        requests=batch_requests(read_lines(choices.requests)) if choices.requests else {},
    )


def _show(report: ImportReport, workload: Workload, file: Path, time: datetime) -> None:
    formats = ", ".join(f"{name} {count:,}" for name, count in sorted(report.formats.items()))
    _print(f"{report.lines:,} records of {file.name} for {workload.id} ({formats or 'none read'})")
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for name in _ANSWERS:
        group = report.answers.get(name, LineGroup())
        table.add_row(name, f"{group.count:,}", _lines(group, shown=name != "parsed"))
    if report.imported_before.count:
        before = report.imported_before
        table.add_row("imported before", f"{before.count:,}", _lines(before))
    for reason, group in sorted(report.dead.items()):
        table.add_row(f"dead: {reason}", f"{group.count:,}", _lines(group, shown=True))
    _console.print(table)
    for note in _notes(report, time):
        _print(note)


def _notes(report: ImportReport, time: datetime) -> list[str]:
    notes = []
    unread = report.answers.get("unparseable", LineGroup()).count
    if unread > report.answers.get("parsed", LineGroup()).count:
        notes.append(
            "note: most answers are not the workload's: compare its labels or schema with the "
            "example above before you call the model bad."
        )
    if report.without_time.count:
        notes.append(
            f"note: {_where(report.without_time)} no time; {time:%Y-%m-%d %H:%M} UTC was taken. "
            "Say when it was with --time."
        )
    if report.without_zone.count:
        notes.append(
            f"note: {_where(report.without_zone)} a time without a zone; --timezone says which."
        )
    if report.numbers_dropped.count:
        notes.append(
            f"note: {_where(report.numbers_dropped)} numbers that JSON does not have (NaN, "
            "Infinity); they became null."
        )
    if report.broken_off is not None:
        notes.append(f"broken off: {report.broken_off}")
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


def _where(group: LineGroup) -> str:
    has = "has" if group.count == 1 else "have"
    return f"{group.count:,} ({_lines(group)}) {has}"


def _lines(group: LineGroup, *, shown: bool = False) -> str:
    if not group.count:
        return ""
    more = ", …" if group.count > len(group.lines) else ""
    said = f"{'line' if group.count == 1 else 'lines'} {', '.join(map(str, group.lines))}{more}"
    return (
        f"{said}: {show_invisible(group.example, limit=200)}" if shown and group.example else said
    )


def _print(line: str) -> None:
    _console.print(Text(line))

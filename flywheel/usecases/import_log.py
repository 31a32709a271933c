"""`import_log`: the calls of a log of any platform become events of a workload."""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flywheel.errors import ConfigurationError, EventError

if TYPE_CHECKING:
    from flywheel.ingest.import_events import ImportOptions
    from flywheel.ingest.import_report import ImportReport
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["LogChoices", "LogImport", "import_log"]


@dataclass(frozen=True)
class LogChoices:
    """What a person says of a log; None where it is guessed for each record.

    ``requests`` is the input file of a batch, ``subject`` the path of the person in a record,
    ``source_workload`` the workload id that the records name where it is another one,
    ``time`` the ISO time of records that have none.
    """

    format_name: str | None
    client: str
    subject: str | None
    source_workload: str | None
    requests: Path | None
    timezone: str
    time: str | None


@dataclass(frozen=True)
class LogImport:
    """What became of each line, and the time that records without one were given."""

    report: "ImportReport"
    time: datetime

    @property
    def is_good(self) -> bool:
        """Return whether anything in the file was good, and all of it was read."""
        return not self.report.nothing_good and self.report.broken_off is None


def import_log(
    platform: "Platform", workload: "Workload", file: Path, choices: LogChoices
) -> LogImport:
    """Send the calls of a log to the event log; calls that were imported before count once.

    Raises:
        ConfigurationError: a choice is not what it must be.
    """
    from flywheel.events import EventContract
    from flywheel.ingest.import_records import import_records

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
    return LogImport(report, options.time or now)


def _options(choices: LogChoices, hash_key: str) -> "ImportOptions":
    from flywheel.events.foreign import FORMATS
    from flywheel.ingest.import_events import ImportOptions, batch_requests
    from flywheel.ingest.import_lines import read_lines

    if choices.format_name is not None and choices.format_name not in FORMATS:
        raise ConfigurationError(
            f"There is no format {choices.format_name!r}.",
            next_step=f"choose csv, {', '.join(FORMATS)}, or auto",
        )
    zone = _zone(choices.timezone)
    return ImportOptions(
        client_id=choices.client,
        format_name=choices.format_name,
        zone=zone,
        time=None if choices.time is None else _time(choices.time, zone),
        subject_path=choices.subject,
        source_workload=choices.source_workload,
        hash_key=hash_key,
        requests=batch_requests(read_lines(choices.requests)) if choices.requests else {},
    )


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(
            f"There is no time zone {name!r}.",
            next_step="name it as in the IANA database, for example Europe/Berlin",
        ) from None


def _time(text: str, zone: tzinfo) -> datetime:
    from flywheel.events.foreign import read_moment

    try:
        return read_moment(text, zone)[0]
    except EventError as error:
        raise ConfigurationError(
            f"--time: {error.message}", next_step="write for example --time 2026-03-01T12:00"
        ) from error

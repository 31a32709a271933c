"""`import_records`: a file of another log, line by line, into the log.

No line ends an import: what is not an event goes into the log with its reason and becomes a dead
letter. A call counts once, from whatever file it comes: what the lake holds is not appended again,
and what waits in the log has the same id. Servers that give one id to many responses may answer one
text twice: a second answer under an id of the file is a dead letter, and not taken for the first.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from flywheel.errors import DataError, EventError, IntegrityError
from flywheel.events import (
    INFERENCES_TOPIC,
    EventContract,
    Reason,
    decode_inferences,
    derived_id,
)
from flywheel.events.columns import AnswerTexts, inference_columns
from flywheel.events.set_aside import SetAsideLine, encode_set_aside
from flywheel.ingest.import_events import EventMaker, ImportOptions, MadeEvent
from flywheel.ingest.import_lines import FileLine, read_lines
from flywheel.ingest.import_masking import mask_made
from flywheel.ingest.import_pending import pending_keys
from flywheel.ingest.import_report import ImportReport, LineGroup
from flywheel.lake.store import Lake
from flywheel.ports.event_log import RECORD_BYTES, EventLog
from flywheel.ports.topics import ensure_topic
from flywheel.workload.answers import canonical_json
from flywheel.workload.model import Workload

__all__ = ["import_records"]

_TOGETHER = 5_000
_ENVELOPE_BYTES = 64 * 2**10


@dataclass
class _Line:
    line: FileLine
    made: MadeEvent | None = None
    error: EventError | None = None


def import_records(
    log: EventLog,
    lake: Lake,
    workload: Workload,
    path: Path,
    *,
    options: ImportOptions,
    contract: EventContract,
    now: datetime,
) -> ImportReport:
    """Append every call of a file to the inferences topic that is not there yet.

    Args:
        log: where to.
        lake: what was imported before.
        workload: whose records these are, where a line does not say.
        path: JSON lines, an array or a page, plain or packed.
        options: what a person says about the file.
        contract: what ingest will take.
        now: event time of a line that has none, unless the options say.

    Returns:
        The report; ``broken_off`` says where the file itself could not be read any further.

    Raises:
        NotFoundError: there is no such file.
        DataError: it has no lines.
        IntegrityError: a line is in none or in two groups of the report: a fault of the program.
    """
    ensure_topic(log, INFERENCES_TOPIC)
    lines = read_lines(path)
    work = _Import(log, lake, workload, path, options, contract, now)
    broken_off: str | None = None
    while broken_off is None:
        batch: list[FileLine] = []
        try:
            for line in islice(lines, _TOGETHER):
                batch.append(line)  # noqa: PERF402 - what came before a failure stays
        except DataError as error:
            broken_off = str(error)
        if not batch:
            break
        work.take(batch)
    report = work.report
    report.broken_off = broken_off
    if not report.lines:
        raise DataError(broken_off or f"{path.name} has no lines.", next_step="check the file")
    if not report.adds_up:
        raise IntegrityError(
            f"The import of {path.name} does not add up: {report.lines:,} lines, of which "
            f"{report.events:,} are new calls, {report.unreadable:,} dead letters and "
            f"{report.imported_before.count:,} were imported before.",
            next_step="report this as a bug of Flywheel; importing the file again is harmless",
        )
    return report


class _Import:
    def __init__(
        self,
        log: EventLog,
        lake: Lake,
        workload: Workload,
        path: Path,
        options: ImportOptions,
        contract: EventContract,
        now: datetime,
    ) -> None:
        self.report = ImportReport()
        self._log = log
        self._lake = lake
        self._workload = workload
        self._name = path.name
        self._digest = _digest_of(path)
        self._options = options
        self._contract = contract
        self._maker = EventMaker(workload, options, now)
        self._there = pending_keys(log, lake)
        self._answers: dict[str, bytes] = {}  # of the lines so far, by id
        self._largest_bytes = min(contract.largest_bytes, RECORD_BYTES - _ENVELOPE_BYTES)

    def take(self, lines: Sequence[FileLine]) -> None:
        """Append what a batch of lines brings, and count all of them."""
        made = [self._make(line) for line in lines]
        self._check(made)
        self._compare(made)
        ids = [one.made.inference_id for one in made if one.made]
        ids += [self._earlier_id(one.line) for one in made if one.made]
        before = self._in_lake("inferences", "inference_id", ids)
        set_aside = [self._set_aside(one.line, one.error) for one in made if one.error is not None]
        # A line that was set aside before is a dead letter already.
        stored_keys = (
            self._in_lake("dead_letters", "key", [key for key, _ in set_aside]) | self._there
        )
        values: list[tuple[bytes | None, bytes]] = []
        for key, value in set_aside:
            if key not in stored_keys:
                stored_keys.add(key)
                values.append((key, value))
        self._there |= stored_keys
        for one in made:
            self.report.lines += 1
            if one.line.dropped:
                self.report.numbers_dropped.add(one.line.number)
            if one.made is not None and one.error is None:
                values += self._count(one.line, one.made, before)
        self._log.append(INFERENCES_TOPIC, values)

    def _make(self, line: FileLine) -> _Line:
        try:
            return _Line(line, mask_made(self._maker.make(line), self._workload))
        except EventError as error:
            return _Line(line, error=error)
        except Exception as error:  # noqa: BLE001 - a reader's own fault must not end the import
            reason = f"the reader failed: {type(error).__name__}: {error}"
            return _Line(line, error=EventError(Reason.UNEXPECTED, reason[:400]))

    def _check(self, made: Sequence[_Line]) -> None:
        # What ingest would refuse is a dead letter now, with the line that it came from.
        events = [one for one in made if one.made is not None]
        decoded = decode_inferences([one.made.value for one in events if one.made], self._contract)
        inference_columns(decoded, self._contract, AnswerTexts())
        for rejection in decoded.rejections:
            events[rejection.index].error = EventError(rejection.reason, rejection.error)

    def _compare(self, made: Sequence[_Line]) -> None:
        for one in made:
            if one.made is None or one.error is not None:
                continue
            inference_id, digest = one.made.inference_id, _digest_of_call(one.made)
            if inference_id not in self._answers:
                self._answers[inference_id] = digest
            elif self._answers[inference_id] == digest:
                self.report.repeated.add(one.line.number)
            else:
                one.error = EventError(
                    Reason.ID_OF_ANOTHER_CALL,
                    "an earlier line has the same id and another text or answer; where the server "
                    "repeats its ids, give each record an inference_id of its own",
                )

    def _earlier_id(self, line: FileLine) -> str:
        # Version 0.1 made the id of file and line: its imports are not to count twice either.
        return derived_id("import", self._digest, line.number)

    def _in_lake(self, table: str, column: str, values: Sequence[Any]) -> set[Any]:
        if not values:
            return set()
        rows = self._lake.query(
            f"SELECT DISTINCT {column} FROM stored.{table} "  # noqa: S608 - names of our own
            f"WHERE {column} IN (SELECT unnest($values))",
            {"values": list(values)},
        )
        return set(rows[column].to_pylist())

    def _count(
        self, line: FileLine, made: MadeEvent, before: set[str]
    ) -> Iterator[tuple[bytes, bytes]]:
        report = self.report
        report.formats[made.format] = report.formats.get(made.format, 0) + 1
        key = made.inference_id.encode()
        if {made.inference_id, self._earlier_id(line)} & before or key in self._there:
            report.imported_before.add(line.number)
            return
        self._there.add(key)
        group = report.answers.setdefault(made.answer.kind, LineGroup())
        group.add(line.number, made.answer.detail)
        for kind, count in made.masked.items():
            report.masked[kind] = report.masked.get(kind, 0) + count
        if not made.has_time:
            report.without_time.add(line.number)
        if not made.has_zone:
            report.without_zone.add(line.number)
        yield key, made.value

    def _set_aside(self, line: FileLine, error: EventError) -> tuple[bytes, bytes]:
        reason = str(error.reason)
        self.report.dead.setdefault(reason, LineGroup()).add(line.number, error.message)
        envelope = SetAsideLine(
            reason=reason,
            error=error.message,
            workload_id=self._workload.id,
            client_id=self._options.client_id,
            file=self._name[-200:],
            number=line.number,
            subject_id=self._maker.subject_id(line.value),
            format_name=self._options.format_name,
            subject_path=self._options.subject_path,
            source_workload=self._options.source_workload,
            zone=str(self._options.zone),
            time=self._options.time,
        )
        value = encode_set_aside(envelope, line.content, largest_bytes=self._largest_bytes)
        digest = hashlib.sha256(line.content).hexdigest()
        return derived_id("set-aside", self._workload.id, digest).encode(), value


def _digest_of_call(made: MadeEvent) -> bytes:
    # Text and answer as the workload reads it: exports of one call differ in what stands around.
    answer = made.answer
    text = canonical_json([made.asked, answer.kind, answer.output, answer.detail])
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _digest_of(path: Path) -> str:
    if not path.is_file():
        return ""  # reading it will say so
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

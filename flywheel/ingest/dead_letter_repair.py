"""`Repairs`: dead letters as today's contract reads them, and as a person repaired them."""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from flywheel.errors import DataError, EventError
from flywheel.events.foreign import FORMATS
from flywheel.events.reasons import Reason
from flywheel.events.set_aside import SetAsideLine, decode_set_aside, encode_set_aside
from flywheel.ingest.deadletters import DeadLetterId
from flywheel.ingest.import_events import EventMaker, ImportOptions
from flywheel.ingest.import_lines import FileLine, parse_line, read_lines
from flywheel.workload.model import Workload

__all__ = ["Repairs", "read_repaired"]


class Repairs:
    """What stands in place of a dead letter's bytes when it is replayed."""

    def __init__(
        self,
        workloads: Mapping[str, Workload],
        *,
        hash_key: str,
        now: datetime,
        repaired: Mapping[str, bytes] | None = None,
    ) -> None:
        """Take what a file of repaired letters holds, by id; without one, letters are read again.

        Args:
            workloads: by id.
            hash_key: of the hash over subjects.
            now: event time of an imported line that has none.
            repaired: new contents by the letter's id.
        """
        self._workloads = workloads
        self._hash_key = hash_key
        self._now = now
        self._repaired = repaired or {}
        self._makers: dict[tuple[object, ...], EventMaker] = {}

    def __call__(self, letter: str, value: bytes) -> bytes:
        """Return the value to be decoded for the letter of this id."""
        line = decode_set_aside(value)
        content = self._repaired.get(letter)
        if line is None:
            return value if content is None else content
        return self._read_again(line, line.content if content is None else content)

    def _read_again(self, line: SetAsideLine, content: bytes) -> bytes:
        workload = self._workloads.get(line.workload_id)
        if line.format_name is not None and line.format_name not in FORMATS:
            error = EventError(Reason.UNKNOWN_FORMAT, f"no format {line.format_name[:60]!r}")
        elif workload is None:
            error = EventError(Reason.UNKNOWN_WORKLOAD, f"no workload {line.workload_id[:100]!r}")
        else:
            try:
                return self._maker(workload, line).make(parse_line(line.number, content)).value
            except EventError as problem:
                error = problem
        changed = msgspec.structs.replace(
            line, reason=str(error.reason), error=error.message, line=None, line_base64=None
        )
        return encode_set_aside(changed, content, largest_bytes=max(len(content) * 4, 2**16))

    def _maker(self, workload: Workload, line: SetAsideLine) -> EventMaker:
        chosen = (line.client_id, line.format_name, line.subject_path, line.zone, line.time)
        key = (workload.id, line.source_workload, *chosen)
        if key not in self._makers:
            try:
                zone = ZoneInfo(line.zone)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise EventError(
                    Reason.BAD_TIMESTAMP, f"there is no time zone {line.zone[:60]!r}"
                ) from None
            options = ImportOptions(
                client_id=line.client_id,
                format_name=line.format_name,
                zone=zone,
                time=line.time,
                subject_path=line.subject_path,
                source_workload=line.source_workload,
                hash_key=self._hash_key,
            )
            self._makers[key] = EventMaker(workload, options, self._now)
        return self._makers[key]


def read_repaired(path: Path) -> dict[str, bytes]:
    """Return the contents of a file of repaired letters by id.

    Raises:
        NotFoundError: there is no such file.
        DataError: a line is not as `flywheel dlq export` writes it; all such lines are named.
    """
    repaired: dict[str, bytes] = {}
    problems: list[str] = []
    for line in read_lines(path):
        try:
            letter, content = _repaired_line(line)
            repaired[letter] = content
        except DataError as error:
            problems.append(f"line {line.number}: {error.message}")
    if problems:
        listed = problems[:20] + ([f"and {len(problems) - 20:,} more"] if problems[20:] else [])
        raise DataError(
            f"{path.name} is not as `flywheel dlq export` writes it:\n  " + "\n  ".join(listed),
            next_step="correct these lines; nothing was replayed",
        )
    return repaired


def _repaired_line(line: FileLine) -> tuple[str, bytes]:
    if line.problem is not None:
        raise DataError(line.problem.message)
    value = line.value
    if not isinstance(value, dict) or not isinstance(value.get("id"), str):
        raise DataError("no id")
    letter = str(DeadLetterId.parse(value["id"]))
    if isinstance(value.get("record_base64"), str):
        try:
            return letter, base64.b64decode(value["record_base64"], validate=True)
        except binascii.Error as error:
            raise DataError(f"record_base64: {error}") from error
    if "record" not in value:
        raise DataError("no record")
    record = value["record"]
    text = record if isinstance(record, str) else json.dumps(record, ensure_ascii=False)
    return letter, text.encode("utf-8", "surrogatepass")

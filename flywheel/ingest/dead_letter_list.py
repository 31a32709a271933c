"""`list_dead_letters`, `group_dead_letters` and `export_dead_letters`: what is dead, seen and saved."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flywheel.errors import ConfigurationError, DataError
from flywheel.events.set_aside import decode_set_aside
from flywheel.ingest.deadletters import STILL_DEAD, DeadLetterId
from flywheel.io.atomic import creating
from flywheel.io.records import Row
from flywheel.lake.store import Lake
from flywheel.workload.answer_values import read_json

__all__ = [
    "DeadLetter",
    "DeadLetterFilter",
    "DeadLetterGroup",
    "content_of",
    "count_dead_letters",
    "export_dead_letters",
    "group_dead_letters",
    "list_dead_letters",
]

_AT_ONCE = 2_000
_PLACE = 'topic_id, "partition", "offset"'
_WHERE = """
    WHERE ($reason IS NULL OR reason = $reason) AND ($topic IS NULL OR topic = $topic)
      AND ($since IS NULL OR first_seen >= $since) AND ($until IS NULL OR first_seen < $until)
      AND ($contains IS NULL OR contains(hex(raw), hex(encode($contains)))
           OR contains(lower(error), lower($contains)))
"""


@dataclass(frozen=True)
class DeadLetterFilter:
    """Which dead letters are meant; ``contains`` looks into bytes and error text."""

    reason: str | None = None
    topic: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    contains: str | None = None


@dataclass(frozen=True)
class DeadLetter:
    """One dead letter in a list; ``bytes`` is None where its content was erased.

    They are counted in what a person would repair: of an import, the line of the file.
    """

    id: str
    topic: str
    reason: str
    error: str | None
    bytes: int | None
    first_seen: datetime


@dataclass(frozen=True)
class DeadLetterGroup:
    """Dead letters of one topic and reason; ``example_id`` and ``example`` are the newest of them."""

    topic: str
    reason: str
    count: int
    first_seen: datetime
    last_seen: datetime
    example_id: str
    example: str


def count_dead_letters(lake: Lake, chosen: DeadLetterFilter = DeadLetterFilter()) -> int:
    """Return how many of these are still dead."""
    sql = f"SELECT count(*) AS n FROM ({STILL_DEAD}) {_WHERE}"  # noqa: S608 - constant
    return int(lake.rows(sql, vars(chosen))[0]["n"])


def list_dead_letters(
    lake: Lake,
    chosen: DeadLetterFilter = DeadLetterFilter(),
    *,
    limit: int = 100,
    page: int = 1,
) -> list[DeadLetter]:
    """Return a page of the dead letters that are still dead, newest first."""
    rows = lake.rows(
        f"SELECT * FROM ({STILL_DEAD}) "  # noqa: S608 - constant
        f"{_WHERE} ORDER BY first_seen DESC, {_PLACE} LIMIT $limit OFFSET $offset",
        vars(chosen) | {"limit": limit, "offset": (page - 1) * limit},
    )
    return [
        DeadLetter(
            str(DeadLetterId(row["topic_id"], row["partition"], row["offset"])),
            row["topic"],
            row["reason"],
            row["error"],
            None if row["raw"] is None else len(content_of(row["raw"])),
            row["first_seen"],
        )
        for row in rows
    ]


def group_dead_letters(
    lake: Lake, chosen: DeadLetterFilter = DeadLetterFilter()
) -> list[DeadLetterGroup]:
    """Return what is still dead by topic and reason, the largest group first."""
    rows = lake.rows(
        "SELECT topic, reason, count(*) AS n, min(first_seen) AS first, max(first_seen) AS last, "  # noqa: S608
        "arg_max({'id': concat_ws(':', topic_id, \"partition\", \"offset\"), 'error': error}, "
        f"first_seen) AS example FROM ({STILL_DEAD}) {_WHERE} "
        "GROUP BY topic, reason ORDER BY n DESC, topic, reason",
        vars(chosen),
    )
    return [
        DeadLetterGroup(
            row["topic"],
            row["reason"],
            row["n"],
            row["first"],
            row["last"],
            row["example"]["id"],
            row["example"]["error"] or "",
        )
        for row in rows
    ]


def export_dead_letters(lake: Lake, chosen: DeadLetterFilter, path: Path) -> int:
    """Write dead letters as JSON lines that can be repaired and replayed, and return how many.

    A line has ``id``, ``topic``, ``reason``, ``error`` and ``record``: what is to be repaired, as
    JSON where it is JSON, else as text; bytes that are not text are in ``record_base64``. Only the
    owner of the file may read it.

    Raises:
        ConfigurationError: the file is there already.
    """
    count = 0
    try:
        with creating(path) as file:
            for row in _whole(lake, chosen):
                file.write(_line(row))
                count += 1
    except FileExistsError:
        raise ConfigurationError(
            f"{path} is there already.", next_step="name another file, or remove it"
        ) from None
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error}") from error
    return count


def _line(row: Row) -> bytes:
    key = str(DeadLetterId(row["topic_id"], row["partition"], row["offset"]))
    record = {"id": key} | {name: row[name] for name in ("topic", "reason", "error")}
    return json.dumps(record | _record(row["raw"] or b""), ensure_ascii=False).encode() + b"\n"


def content_of(raw: bytes) -> bytes:
    """Return what a person would repair: the line of an import, else the bytes of the log."""
    line = decode_set_aside(raw)
    return raw if line is None else line.content


def _whole(lake: Lake, chosen: DeadLetterFilter) -> Iterator[Row]:
    after: tuple[str, int, int] | None = ("", -1, -1)
    while after is not None:
        rows = lake.rows(
            f"SELECT * FROM ({STILL_DEAD}) {_WHERE} AND raw IS NOT NULL "  # noqa: S608 - constant
            f"AND ({_PLACE}) > ($a, $b, $c) ORDER BY {_PLACE} LIMIT {_AT_ONCE}",
            vars(chosen) | {"a": after[0], "b": after[1], "c": after[2]},
        )
        yield from rows
        last = rows[-1] if rows else None
        after = None if last is None else (last["topic_id"], last["partition"], last["offset"])


def _record(raw: bytes) -> Row:
    content = content_of(raw)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return {"record_base64": base64.b64encode(content).decode("ascii")}
    try:
        record = read_json(text)
        # What would not be written back the same stays text.
        json.dumps(record, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return {"record": text}
    return {"record": text if isinstance(record, str) else record}

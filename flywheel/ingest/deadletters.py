"""Dead letters: written once per position, listed, and replayed through the present contract.

A dead letter whose position has landed since is no longer dead; it stays in its table as history.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.errors import DataError, NotFoundError
from flywheel.events import EventContract
from flywheel.events.columns import AnswerTexts
from flywheel.ingest.arrow import arrange, table_of
from flywheel.io.records import Row
from flywheel.lake.positions import source_id
from flywheel.lake.store import Lake
from flywheel.ports.event_log import LogRecord, Partition

__all__ = [
    "STILL_DEAD",
    "DeadLetterId",
    "Repair",
    "ReplayReport",
    "replay",
    "show_dead_letter",
    "write_dead_letters",
]

_APPLICATION = "dead-letters"
_REPLAY = "replay"
_ROUND = 5_000
_POSITION = 'topic_id, "partition", "offset"'
STILL_DEAD = """
    SELECT d.* FROM stored.dead_letters AS d
    WHERE NOT EXISTS (SELECT 1 FROM stored.inferences AS i WHERE i.topic_id = d.topic_id
                      AND i."partition" = d."partition" AND i."offset" = d."offset")
      AND NOT EXISTS (SELECT 1 FROM stored.feedback AS f WHERE f.topic_id = d.topic_id
                      AND f."partition" = d."partition" AND f."offset" = d."offset")
"""


@dataclass(frozen=True)
class DeadLetterId:
    """Source position of a dead letter, written ``TOPIC_ID:PARTITION:OFFSET``."""

    topic_id: str
    partition: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> "DeadLetterId":
        """Read the written form."""
        try:
            topic_id, partition, offset = text.rsplit(":", 2)
            return cls(topic_id, int(partition), int(offset))
        except ValueError:
            raise DataError(
                f"{text!r} is not a dead letter's id.",
                next_step="take TOPIC_ID:PARTITION:OFFSET from `flywheel dlq list`",
            ) from None

    def __str__(self) -> str:
        return f"{self.topic_id}:{self.partition}:{self.offset}"


Repair = Callable[[str, bytes], bytes]


def _as_it_is(_letter: str, value: bytes) -> bytes:
    return value


@dataclass
class ReplayReport:
    """What a replay did; ``still_dead`` counts by the reason of today's contract."""

    landed: Counter[str] = field(default_factory=Counter)
    still_dead: Counter[str] = field(default_factory=Counter)


def write_dead_letters(
    lake: Lake, rows: pa.Table, offset_ranges: Mapping[tuple[str, int], tuple[int, int]]
) -> int:
    """Write the dead letters whose positions are not there yet, and return how many.

    A commit also says how far its sources were read, so that what lies beyond is new and nothing
    stored is looked at; only what is read again after a crash is compared with what is there.

    Args:
        lake: the lake.
        rows: the dead letters of one batch.
        offset_ranges: per topic id and partition, the position read from and the next to read.
    """
    sources = list(zip(rows["topic_id"].to_pylist(), rows["partition"].to_pylist(), strict=True))
    ends = {_application(*source): offset_ranges[source][1] for source in set(sources)}

    def missing(written: Mapping[str, int | None]) -> pa.Table:
        ends_before = [written[_application(*source)] for source in sources]
        again = [
            end is None or offset < end
            for offset, end in zip(rows["offset"].to_pylist(), ends_before, strict=True)
        ]
        if not any(again):
            return rows
        stored = _stored_positions(lake, rows.filter(pa.array(again)))
        positions = _positions(rows)
        return rows.filter(pa.array([position not in stored for position in positions], pa.bool_()))

    return lake.retry(lambda: lake.append_computed("dead_letters", ends, missing))


def _application(topic_id: str, partition: int) -> str:
    return f"{_APPLICATION}:{source_id(topic_id, partition)}"


def _positions(rows: pa.Table) -> list[tuple[str, int, int]]:
    names = ("topic_id", "partition", "offset")
    return list(zip(*(rows[name].to_pylist() for name in names), strict=True))


def _stored_positions(lake: Lake, rows: pa.Table) -> set[tuple[str, int, int]]:
    stored = lake.query(
        f"SELECT {_POSITION} FROM stored.dead_letters "  # noqa: S608 - constant columns
        'WHERE list_contains(?, topic_id) AND "offset" BETWEEN ? AND ?',
        [
            rows["topic_id"].unique().to_pylist(),
            pc.min(rows["offset"]).as_py(),
            pc.max(rows["offset"]).as_py(),
        ],
    )
    return set(_positions(stored))


def show_dead_letter(lake: Lake, letter: DeadLetterId) -> Row:
    """Return one dead letter whole."""
    rows = lake.rows(
        'SELECT * FROM stored.dead_letters WHERE topic_id = ? AND "partition" = ? AND "offset" = ?',
        [letter.topic_id, letter.partition, letter.offset],
    )
    if not rows:
        raise NotFoundError(
            f"There is no dead letter {letter}.", next_step="look at `flywheel dlq list`"
        )
    return rows[0]


def replay(
    lake: Lake,
    contract: EventContract,
    *,
    now: datetime,
    reason: str | None = None,
    letters: Sequence[DeadLetterId] | None = None,
    repair: Repair = _as_it_is,
) -> ReplayReport:
    """Send dead letters through the present contract; what is good now lands, once.

    Args:
        lake: the lake.
        contract: what is accepted now.
        now: time of landing.
        reason: replay only those with this reason.
        letters: replay only these.
        repair: returns what is decoded in place of a letter's bytes, from its id and them.
    """
    report = ReplayReport()
    for row in lake.rows("SELECT DISTINCT topic FROM stored.dead_letters ORDER BY topic"):
        ids = None if letters is None else [str(letter) for letter in letters]
        selection = _Wanted(row["topic"], reason, ids, repair)
        after: _Position | None = ("", -1, -1)
        while after is not None:
            after = _replay_round(lake, contract, selection, after, report, now=now)
    return report


_Position = tuple[str, int, int]


@dataclass(frozen=True)
class _Wanted:
    topic: str
    reason: str | None
    letters: list[str] | None
    repair: Repair


def _replay_round(
    lake: Lake,
    contract: EventContract,
    selection: _Wanted,
    after: _Position,
    report: ReplayReport,
    *,
    now: datetime,
) -> _Position | None:
    table = table_of(selection.topic)
    last: _Position | None = None
    landed: Counter[str] = Counter()
    dead: Counter[str] = Counter()

    def good(_written: Mapping[str, int | None]) -> pa.Table:
        nonlocal last
        landed.clear()
        dead.clear()
        records = _still_dead(lake, selection, after)
        last = _position_of(records[-1]) if records else None
        # What ingest has not passed yet (it stopped half-way) it will read again itself.
        ends = {one: _end(lake, table, one) for one in {record.partition for record in records}}
        passed = [record for record in records if record.offset < ends[record.partition]]
        if not passed:
            return pa.table({})
        batch = arrange(passed, contract, AnswerTexts(), now=now)
        landed.update(batch.rows["workload_id"].to_pylist())
        dead.update(str(rejection.reason) for rejection in batch.rejections)
        return batch.rows

    lake.retry(lambda: lake.append_computed(table, {_REPLAY: None}, good))
    report.landed += landed
    report.still_dead += dead
    return last


def _position_of(record: LogRecord) -> _Position:
    return record.partition.topic_id, record.partition.number, record.offset


def _end(lake: Lake, table: str, partition: Partition) -> int:
    return lake.position(table, partition.topic_id, partition.number) or 0


def _still_dead(lake: Lake, selection: _Wanted, after: _Position) -> Sequence[LogRecord]:
    rows = lake.rows(
        f"SELECT * FROM ({STILL_DEAD}) WHERE topic = $topic AND raw IS NOT NULL "  # noqa: S608 - constant columns
        f"AND ({_POSITION}) > ($topic_id, $partition, $offset) "
        "AND ($reason IS NULL OR reason = $reason) "
        "AND ($letters IS NULL OR "
        'list_contains($letters, concat_ws(\':\', topic_id, "partition", "offset"))) '
        f"ORDER BY {_POSITION} LIMIT {_ROUND}",
        {
            "topic": selection.topic,
            "topic_id": after[0],
            "partition": after[1],
            "offset": after[2],
            "reason": selection.reason,
            "letters": selection.letters,
        },
    )
    return [
        LogRecord(
            Partition(row["topic"], row["topic_id"], row["partition"]),
            row["offset"],
            row["key"],
            selection.repair(
                str(DeadLetterId(row["topic_id"], row["partition"], row["offset"])), row["raw"]
            ),
            row["first_seen"],
        )
        for row in rows
    ]

"""The ledger: proof that nothing was lost and nothing counts twice.

Per partition, produced = landed + dead letters + unread lag + declared gap; over all, distinct ids
= landed - duplicates. Produced is the log's end less the holes: offsets below the position that hold
no record by nature (Kafka's transaction markers, aborted transactions, compaction), counted when
ingest passed them, in the same commit. Lag counts offsets, a marker at the very end among them.
Landed counts what lies on disk, erased subjects' rows (emptied, but there)
included; a dead letter whose position has landed counts as landed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flywheel.errors import IntegrityError
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC
from flywheel.ingest.arrow import table_of
from flywheel.ingest.proven_events import EventCount, count_events, keep_proof
from flywheel.lake.store import Lake, holes_id
from flywheel.ports.event_log import EventLog, Partition

__all__ = ["Ledger", "PartitionBalance", "prove", "require_balance"]

# Feedback and dead letters are few beside the events, which `count_events` counts.
_COUNTS = """
WITH landed AS (
    SELECT "partition", count(*) AS landed, count(DISTINCT "offset") AS positions
    FROM stored.feedback WHERE topic_id = $topic_id GROUP BY ALL
), dead AS (
    SELECT "partition", count(*) AS dead, count(DISTINCT "offset") AS dead_positions
    FROM stored.dead_letters AS d WHERE topic_id = $topic_id AND NOT EXISTS (
        SELECT 1 FROM stored.feedback AS r WHERE r.topic_id = d.topic_id
        AND r."partition" = d."partition" AND r."offset" = d."offset")
    AND "offset" < list_extract($positions, "partition" + 1) GROUP BY ALL
)
SELECT "partition", coalesce(landed, 0) AS landed, coalesce(positions, 0) AS positions,
    coalesce(dead, 0) AS dead, coalesce(dead_positions, 0) AS dead_positions
FROM landed FULL JOIN dead USING ("partition")
"""
_GAPS = """
SELECT "partition", CAST(sum(next_offset - first_offset) AS BIGINT) AS gap
FROM stored.declared_gaps WHERE topic_id = $topic_id
AND next_offset <= list_extract($positions, "partition" + 1) GROUP BY ALL
"""
_FEEDBACK_IDS = """
SELECT count(*) AS landed,
    count(*) FILTER (WHERE turn > 1) AS duplicates,
    count(DISTINCT (workload_id, feedback_id)) AS distinct_ids
FROM (SELECT workload_id, feedback_id, row_number() OVER (
          PARTITION BY workload_id, feedback_id
          ORDER BY landed_at, topic_id, "partition", "offset") AS turn
      FROM stored.feedback)
"""


_NOTHING = {"landed": 0, "positions": 0, "dead": 0, "dead_positions": 0}


@dataclass(frozen=True)
class PartitionBalance:
    """One partition's account; ``twice`` counts rows beyond the first of a position.

    ``holes`` are offsets without a record, which ``produced`` leaves out.
    """

    topic: str
    topic_id: str
    partition: int
    produced: int
    landed: int
    dead_letters: int
    lag: int
    gap: int
    holes: int
    twice: int

    @property
    def difference(self) -> int:
        """What was produced and is nowhere to be found; negative: more found than produced."""
        return self.produced - self.landed - self.dead_letters - self.lag - self.gap

    @property
    def balances(self) -> bool:
        """Return whether every offset is accounted for exactly once."""
        return self.difference == 0 and self.twice == 0 and self.lag >= 0


@dataclass(frozen=True)
class Ledger:
    """All partitions, and the ids over all of them."""

    partitions: tuple[PartitionBalance, ...]
    landed: int
    distinct_ids: int
    duplicates: int

    @property
    def balances(self) -> bool:
        """Return whether both equations hold."""
        return (
            all(partition.balances for partition in self.partitions)
            and self.distinct_ids == self.landed - self.duplicates
        )

    def total(self, name: str) -> int:
        """Add one column over the partitions."""
        return sum(getattr(partition, name) for partition in self.partitions)


def prove(
    log: EventLog,
    lake: Lake,
    *,
    topics: Sequence[str] = (INFERENCES_TOPIC, FEEDBACK_TOPIC),
    full: bool = False,
) -> Ledger:
    """Count both sides; ingest and producers may run meanwhile.

    Args:
        log: what was produced.
        lake: what landed.
        topics: names of those that are counted.
        full: count every event of the lake, also those that an earlier proof rests on.
    """
    balances: list[PartitionBalance] = []
    ids: list[tuple[int, int, int]] = []
    for topic in topics:
        of_topic, events = _topic(log, lake, topic, full=full)
        balances += of_topic
        ids.append(_feedback_ids(lake) if events is None else events.ids)
        if events is not None and all(one.balances for one in of_topic) and events.ids_add_up:
            keep_proof(lake, events)
    return Ledger(tuple(balances), *(sum(column) for column in zip(*ids, strict=True)))


def require_balance(ledger: Ledger) -> None:
    """Raise IntegrityError where the ledger does not balance."""
    if ledger.balances:
        return
    wrong = [partition for partition in ledger.partitions if not partition.balances]
    where = ", ".join(
        f"{partition.topic}/{partition.partition} by {partition.difference} "
        f"({partition.twice} twice)"
        for partition in wrong
    )
    raise IntegrityError(
        f"The ledger does not balance: {where or 'ids and duplicates disagree'}.",
        next_step="look for a log or a lake that was restored from a backup, or declare a gap",
    )


def _topic(
    log: EventLog, lake: Lake, topic: str, *, full: bool
) -> tuple[list[PartitionBalance], EventCount | None]:
    table = table_of(topic)
    # Positions and rows must be of one snapshot, and the ends not older than the positions.
    with lake.lock:
        positions = _positions(lake, table, log.end_offsets(topic))
        rows, events = _counts(lake, table, positions, full=full)
        while positions != (now := _positions(lake, table, positions)):
            positions = now
            rows, events = _counts(lake, table, positions, full=full)
    ends = log.end_offsets(topic)
    if not positions.keys() <= ends.keys():  # the topic was recreated meanwhile
        return _topic(log, lake, topic, full=full)
    balances = [
        _balance(partition, ends[partition], positions[partition], rows[partition.number])
        for partition in sorted(positions)
    ]
    return balances, events


@dataclass(frozen=True)
class _Standing:
    position: int
    holes: int


def _positions(
    lake: Lake, table: str, partitions: Iterable[Partition]
) -> dict[Partition, _Standing]:
    return {
        partition: _Standing(
            lake.position(table, partition.topic_id, partition.number) or 0,
            lake.transaction(table, holes_id(partition.topic_id, partition.number)) or 0,
        )
        for partition in sorted(partitions)
    }


def _counts(
    lake: Lake, table: str, positions: Mapping[Partition, _Standing], *, full: bool
) -> tuple[dict[int, dict[str, int]], EventCount | None]:
    topic_id = next(iter(positions)).topic_id
    parameters = {"topic_id": topic_id, "positions": [one.position for one in positions.values()]}
    gaps = {row["partition"]: row["gap"] for row in lake.rows(_GAPS, parameters)}
    if table == "inferences":
        next_offsets = {f"{topic_id}/{p.number}": one.position for p, one in positions.items()}
        events = count_events(lake, next_offsets, full=full)
        rows = {p.number: _of_source(events, f"{topic_id}/{p.number}") for p in positions}
    else:
        events = None
        rows = {row["partition"]: row for row in lake.rows(_COUNTS, parameters)}
    for partition in positions:
        rows.setdefault(partition.number, dict(_NOTHING))["gap"] = gaps.get(partition.number, 0)
    return rows, events


def _of_source(events: EventCount, source: str) -> dict[str, int]:
    dead, dead_positions = events.dead.get(source, (0, 0))
    return {
        "landed": events.landed.get(source, 0),
        "positions": events.positions.get(source, 0),
        "dead": dead,
        "dead_positions": dead_positions,
    }


def _balance(
    partition: Partition, end: int, standing: _Standing, row: dict[str, int]
) -> PartitionBalance:
    return PartitionBalance(
        topic=partition.topic,
        topic_id=partition.topic_id,
        partition=partition.number,
        produced=end - standing.holes,
        landed=row["landed"],
        dead_letters=row["dead"],
        lag=end - standing.position,
        gap=row["gap"],
        holes=standing.holes,
        twice=row["landed"] - row["positions"] + row["dead"] - row["dead_positions"],
    )


def _feedback_ids(lake: Lake) -> tuple[int, int, int]:
    row = lake.rows(_FEEDBACK_IDS)[0]
    return row["landed"], row["distinct_ids"], row["duplicates"]

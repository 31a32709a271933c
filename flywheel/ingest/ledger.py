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
from flywheel.lake.positions import holes_id
from flywheel.lake.store import Lake
from flywheel.lake.views import LATER_EVENTS
from flywheel.ports.event_log import EventLog, Partition

__all__ = ["Ledger", "PartitionBalance", "count_ids", "prove", "require_balance"]

_GAPS = """
SELECT "partition", CAST(sum(next_offset - first_offset) AS BIGINT) AS gap
FROM stored.declared_gaps WHERE topic_id = $topic_id
AND next_offset <= list_extract($positions, "partition" + 1) GROUP BY ALL
"""
_COUNTS = """
WITH landed AS (
    SELECT "partition", count(*) AS landed, count(DISTINCT "offset") AS positions
    FROM stored.{table} WHERE topic_id = $topic_id GROUP BY ALL
), dead AS (
    SELECT "partition", count(*) AS dead, count(DISTINCT "offset") AS dead_positions
    FROM stored.dead_letters AS d WHERE topic_id = $topic_id AND NOT EXISTS (
        SELECT 1 FROM stored.{table} AS r WHERE r.topic_id = d.topic_id
        AND r."partition" = d."partition" AND r."offset" = d."offset")
    AND "offset" < list_extract($positions, "partition" + 1) GROUP BY ALL
), gaps AS (
    {gaps}
)
SELECT "partition", coalesce(landed, 0) AS landed, coalesce(positions, 0) AS positions,
    coalesce(dead, 0) AS dead, coalesce(dead_positions, 0) AS dead_positions,
    CAST(coalesce(gap, 0) AS BIGINT) AS gap
FROM landed FULL JOIN dead USING ("partition") FULL JOIN gaps USING ("partition")
"""

# Which events repeat an id was found file by file; here all ids are counted again, from the rows.
_EVENT_IDS = f"""
SELECT (SELECT count(*) FROM stored.inferences) AS landed,
    (SELECT count(*) FROM stored.inferences AS i SEMI JOIN {LATER_EVENTS} AS later
     ON later.topic_id = i.topic_id AND later."partition" = i."partition"
     AND later."offset" = i."offset") AS duplicates,
    (SELECT count(*) FROM (SELECT DISTINCT workload_id, inference_id FROM stored.inferences))
        AS distinct_ids
"""  # noqa: S608 - a constant name
_FEEDBACK_IDS = """
SELECT count(*) AS landed,
    count(*) FILTER (WHERE turn > 1) AS duplicates,
    count(DISTINCT (workload_id, feedback_id)) AS distinct_ids
FROM (SELECT workload_id, feedback_id, row_number() OVER (
          PARTITION BY workload_id, feedback_id
          ORDER BY landed_at, topic_id, "partition", "offset") AS turn
      FROM stored.feedback)
"""


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
        lake: what landed; on a cluster every event is counted.
        topics: names of those that are counted.
        full: count every event of the lake, also those that an earlier proof rests on.
    """
    balances: list[PartitionBalance] = []
    ids: list[tuple[int, int, int]] = []
    for topic in topics:
        of_topic, events = _topic(log, lake, topic, full=full)
        balances += of_topic
        ids.append(_all_ids(lake, table_of(topic)) if events is None else events.ids)
        if events is not None and all(one.balances for one in of_topic) and events.ids_add_up:
            keep_proof(lake, events)
    landed, distinct, duplicates = (sum(column) for column in zip(*ids, strict=True))
    return Ledger(tuple(balances), landed, distinct, duplicates)


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
        _balance(partition, ends[partition], positions[partition], rows.get(partition.number))
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
    lake: Lake, table: str, standings: Mapping[Partition, _Standing], *, full: bool
) -> tuple[dict[int, dict[str, int]], EventCount | None]:
    topic_id = next(iter(standings)).topic_id
    values = {"topic_id": topic_id, "positions": [one.position for one in standings.values()]}
    if table != "inferences" or not lake.is_read_here:
        counts = lake.scan(_COUNTS.format(table=table, gaps=_GAPS), values).to_pylist()
        return {row["partition"]: row for row in counts}, None
    gaps = {row["partition"]: row["gap"] for row in lake.rows(_GAPS, values)}
    sources = {partition.number: f"{topic_id}/{partition.number}" for partition in standings}
    following = {f"{topic_id}/{one.number}": standings[one].position for one in standings}
    events = count_events(lake, following, full=full)
    rows = {
        number: events.of_source(source) | {"gap": gaps.get(number, 0)}
        for number, source in sources.items()
    }
    return rows, events


def _balance(
    partition: Partition, end: int, standing: _Standing, counts: dict[str, int] | None
) -> PartitionBalance:
    row = counts or {"landed": 0, "positions": 0, "dead": 0, "dead_positions": 0, "gap": 0}
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


def _all_ids(lake: Lake, table: str) -> tuple[int, int, int]:
    row = count_ids(lake, table)
    return row["landed"], row["distinct_ids"], row["duplicates"]


def count_ids(lake: Lake, table: str) -> dict[str, int]:
    """Count the rows of a table of events, its distinct ids and the rows that repeat one."""
    counts = lake.scan(_EVENT_IDS if table == "inferences" else _FEEDBACK_IDS)
    return dict(counts.to_pylist()[0])

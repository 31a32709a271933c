"""`unknown_topics`: rows in the lake whose topic the event log does not know (any more).

A log that was lost, or recreated, produced nothing as far as it knows: against it every account
balances. What had landed from the former log shows in the lake. A person who replaced a topic on
purpose retires it (`flywheel topics retire`), with the counts of that moment.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pyarrow as pa

from flywheel.lake.store import Lake

__all__ = ["UnknownTopic", "topic_counts", "unknown_topics"]

_TABLES = ("inferences", "feedback", "dead_letters")


@dataclass(frozen=True)
class UnknownTopic:
    """A topic that the log does not know; ``retired`` is what it had when it was retired."""

    topic_id: str
    rows: int
    retired: int | None = None

    @property
    def is_accounted_for(self) -> bool:
        """Return whether a person retired the topic, with exactly these rows."""
        return self.rows == self.retired

    def sentence(self) -> str:
        """Say in a few words what is wrong, or that nothing is."""
        if self.is_accounted_for:
            return f"topic {self.topic_id[:12]}: {self.rows:,} rows, as when it was retired"
        if self.retired is not None:
            return (
                f"topic {self.topic_id[:12]} was retired with {self.retired:,} rows and has "
                f"{self.rows:,}"
            )
        return (
            f"{self.rows:,} rows are of topic {self.topic_id}, which the log does not know: it was "
            f"lost or recreated (if on purpose: `flywheel topics retire {self.topic_id}`)"
        )


def unknown_topics(
    lake: Lake, declared: Collection[str], retired: Mapping[str, int]
) -> list[UnknownTopic]:
    """Return the topics with rows in the lake that are not in the log, and what became of them.

    Args:
        lake: where rows landed.
        declared: ids of the topics that the log has now.
        retired: rows of each topic that a person retired.
    """
    counts: dict[str, int] = {}
    if not all(_topics(lake, table) <= set(declared) for table in _TABLES):
        counts = {key: rows for key, rows in topic_counts(lake).items() if key not in declared}
    counts |= {key: 0 for key in retired if key not in counts and key not in declared}
    return [UnknownTopic(key, rows, retired.get(key)) for key, rows in sorted(counts.items())]


def _topics(lake: Lake, table: str) -> set[str]:
    # By what Delta's log says of each file, where it holds rows of one topic.
    with lake.lock:
        delta = lake.handle(table).refresh()
        if delta is None:
            return set()
        files = pa.table(delta.get_add_actions(flatten=True))
    if {"min.topic_id", "max.topic_id"} <= set(files.column_names):
        bounds = zip(*(files[f"{end}.topic_id"].to_pylist() for end in ("min", "max")), strict=True)
        topics = set(bounds)
        if all(first == last and first is not None for first, last in topics):
            return {first for first, _ in topics}
    sql = f"SELECT DISTINCT topic_id FROM stored.{table} WHERE topic_id IS NOT NULL"  # noqa: S608
    return {row["topic_id"] for row in lake.rows(sql)}


def topic_counts(lake: Lake) -> dict[str, int]:
    """Return at how many positions of each topic there is a row or a dead letter in the lake."""
    # A dead letter that was replayed lies in two tables under one position.
    positions = " UNION ".join(
        f'SELECT topic_id, "partition", "offset" FROM stored.{table}'  # noqa: S608 - constant names
        for table in _TABLES
    )
    rows = lake.rows(
        f"SELECT topic_id, count(*) AS rows FROM ({positions}) WHERE topic_id IS NOT NULL "  # noqa: S608
        "GROUP BY topic_id"
    )
    return {row["topic_id"]: int(row["rows"]) for row in rows}

"""`count_days` and `read_parts`: which texts of a `TextSource` a backfill still has to do.

A day is cut into parts by a hash of the ids, into as many as its number of texts asks for: the same
day has the same parts, whatever was done of it before. What is done is what the lake holds.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.ports.bulk_work import PartName, TextPart
from flywheel.usecases.backfill.products import Product

if TYPE_CHECKING:
    from flywheel.lake.store import Lake

__all__ = ["DayCount", "TextSource", "count_days", "read_parts"]

# Of the texts of a day, so many are in memory at once.
_ROWS_AT_ONCE = 100_000
# What callers received, once for each call: no copies of shadows, no repeated events.
_CALLS = """
SELECT i.inference_id, i.subject_id, i."timestamp" AS event_time, i.day, i.input
FROM answered_inferences AS i
WHERE i.workload_id = $workload AND i.input IS NOT NULL
"""


@dataclass(frozen=True)
class TextSource:
    """Texts of the days from ``first`` to ``last``, both included; by default the calls of the lake.

    Attributes:
        first: first day.
        last: last day.
        sql: a query with the columns of a part and ``day``.
        values: its parameters.
        prepare: what is done to a part before it leaves this process.
    """

    first: date
    last: date
    sql: str = _CALLS
    values: Mapping[str, object] = field(default_factory=dict)
    prepare: Callable[[TextPart], TextPart] = lambda part: part


@dataclass(frozen=True)
class DayCount:
    """Texts of a day, how many of them are done, and of these, how many ended in an error."""

    day: date
    texts: int
    done: int
    failed: int

    @property
    def missing(self) -> int:
        """Texts that are still to be done."""
        return self.texts - self.done


def count_days(
    lake: "Lake", workload_id: str, product: Product, texts: TextSource
) -> list[DayCount]:
    """Count the texts of every day that has any."""
    failed = f"count(d.{product.error})" if product.error else "0"
    rows = lake.rows(
        f"""
        SELECT t.day, count(*) AS texts, count(d.inference_id) AS done, {failed} AS failed
        FROM (SELECT * FROM ({texts.sql}) AS s WHERE s.day BETWEEN $first AND $last) AS t
        LEFT JOIN ({_done(product)} AND day BETWEEN $first AND $last) AS d
          ON d.day = t.day AND d.inference_id = t.inference_id
        GROUP BY t.day ORDER BY t.day
        """,  # noqa: S608 - names of declared tables and columns
        {
            "workload": workload_id,
            "maker": product.maker,
            "first": texts.first,
            "last": texts.last,
            **texts.values,
        },
        event_days=_days(texts.first, texts.last),
    )
    return [DayCount(row["day"], row["texts"], row["done"], row["failed"]) for row in rows]


def read_parts(
    lake: "Lake",
    workload_id: str,
    product: Product,
    texts: TextSource,
    day: DayCount,
    *,
    part_rows: int,
) -> Iterator[TextPart]:
    """Read the missing texts of a day in parts of about ``part_rows`` rows, those with none left out."""
    count = -(-day.texts // part_rows)
    at_once = max(1, _ROWS_AT_ONCE // part_rows)
    for start in range(0, count, at_once):
        rows = lake.query(
            f"""
            SELECT * FROM (
                SELECT t.*, md5_number_lower(t.inference_id) % $count AS part
                FROM (SELECT * FROM ({texts.sql}) AS s WHERE s.day = $day) AS t
            ) AS p
            WHERE part >= $start AND part < $stop
              AND inference_id NOT IN (
                SELECT inference_id FROM ({_done(product)} AND day = $day)
              )
            ORDER BY part, inference_id
            """,  # noqa: S608 - (as above)
            {
                "workload": workload_id,
                "maker": product.maker,
                "day": day.day,
                "count": count,
                "start": start,
                "stop": start + at_once,
                **texts.values,
            },
            event_days=[day.day],
        )
        yield from map(texts.prepare, _cut(rows, day.day, count))


def _cut(rows: pa.Table, day: date, count: int) -> Iterator[TextPart]:
    numbers = rows["part"].cast(pa.int64())
    for number in pc.unique(numbers).to_pylist():
        some = rows.filter(pc.equal(numbers, number))
        yield TextPart(PartName(day, number + 1, count), some.drop_columns(["part", "day"]))


def _done(product: Product) -> str:
    return (
        f"SELECT * FROM {product.table} "  # noqa: S608 - (as above)
        f"WHERE workload_id = $workload AND {product.maker_column} = $maker"
    )


def _days(first: date, last: date) -> list[date]:
    return [date.fromordinal(number) for number in range(first.toordinal(), last.toordinal() + 1)]

"""`Lander`: commit results of parts so that every text has one row, whoever else lands it too.

The fence is a version per day and maker, committed with the rows: a process that looked before
another one committed is refused, looks again, and leaves out what is there by then.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.errors import ConcurrencyError
from flywheel.ports.bulk_work import PartName, TextPart, digest_of_ids
from flywheel.usecases.backfill.products import Product

if TYPE_CHECKING:
    from flywheel.lake.store import Lake

__all__ = ["Lander"]


class Lander:
    """Lands what one backfill makes.

    Of a part that it handed out itself, the lake holds no row as long as nobody else has moved the
    day's version: it is not looked for then, and a part costs the same in a day of any size.

    Args:
        lake: gets the rows.
        workload_id: whose texts.
        product: what is made of them.
        run: names the backfill in its rows.
    """

    def __init__(self, lake: "Lake", workload_id: str, product: Product, run: str) -> None:
        self._lake, self._workload_id, self._product = lake, workload_id, product
        self._run = run
        self._versions: dict[date, int] = {}
        self._handed_out: set[tuple[date, str]] = set()

    def begin(self, day: date) -> None:
        """Note a day's version, before what it lacks is read."""
        self._versions[day] = self._version(day)

    def hand_out(self, part: TextPart) -> TextPart:
        """Return a part of a day that was begun, to be landed once."""
        self._handed_out.add((part.name.day, digest_of_ids(part.rows)))
        return part

    def land(self, name: PartName, rows: pa.Table, now: datetime) -> pa.Table:
        """Commit the rows of a part that the lake does not hold yet, and return them.

        Rows of a person who was erased meanwhile are left out.

        Raises:
            ConcurrencyError: others were quicker each time.
        """
        day, key = name.day, (name.day, digest_of_ids(rows))
        expected = self._versions.get(day) if key in self._handed_out else None
        self._handed_out.discard(key)
        constants = {
            "workload_id": self._workload_id,
            "day": day,
            self._product.maker_column: self._product.maker,
            "part": name.part,
            "run": self._run,
            self._product.time_column: now,
        }
        for column, value in constants.items():
            rows = rows.append_column(column, pa.array([value] * rows.num_rows))
        allowed = rows.filter(pc.invert(self._is_erased(rows)))
        landed: pa.Table = self._lake.retry(lambda: self._commit(day, allowed, expected))
        return landed

    def _commit(self, day: date, rows: pa.Table, expected: int | None) -> pa.Table:
        version = self._version(day)
        is_ours = version == expected
        missing = rows if is_ours else rows.filter(pc.invert(self._is_present(day, rows)))
        if missing.num_rows == 0:
            return missing
        once = (_application(self._workload_id, self._product, day), version + 1)
        if not self._lake.append(self._product.table, missing, once=once):
            raise ConcurrencyError(
                f"Another process landed rows of {day} first.", next_step="run it again"
            )
        if is_ours:  # what came from elsewhere may hold texts of parts that are still out
            self._versions[day] = version + 1
        return missing

    def _version(self, day: date) -> int:
        application = _application(self._workload_id, self._product, day)
        return self._lake.transaction(self._product.table, application) or 0

    def _is_present(self, day: date, rows: pa.Table) -> pa.ChunkedArray:
        # What is stored counts, also rows of erased persons that readers no longer see.
        ids = self._column(
            f"SELECT inference_id FROM stored.{self._product.table} "  # noqa: S608 - a declared table
            "WHERE workload_id = $workload AND day = $day "
            f"AND {self._product.maker_column} = $maker",
            {"maker": self._product.maker, "day": day},
        )
        return pc.is_in(rows["inference_id"], value_set=ids)

    def _is_erased(self, rows: pa.Table) -> pa.ChunkedArray:
        subjects = self._column(
            "SELECT subject_id FROM stored.erasures "
            "WHERE subject_id IS NOT NULL AND (workload_id IS NULL OR workload_id = $workload)",
            {},
        )
        return pc.is_in(rows["subject_id"], value_set=subjects)

    def _column(self, sql: str, values: Mapping[str, object]) -> pa.Array:
        rows = self._lake.query(sql, {"workload": self._workload_id, **values})
        return rows.column(0).combine_chunks()


def _application(workload_id: str, product: Product, day: date) -> str:
    return f"backfill:{workload_id}:{product.maker}:{day.isoformat()}"

"""`land`: commit the result of a part so that every text has one row, whoever else lands it too.

The fence is a version per day and maker, committed with the rows: a process that looked before
another one committed is refused, looks again, and leaves out what is there by then.
"""

from datetime import date, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.errors import ConcurrencyError
from flywheel.ports.bulk_work import PartName
from flywheel.usecases.backfill.products import Product

if TYPE_CHECKING:
    from flywheel.lake.store import Lake

__all__ = ["application_id", "land"]


def application_id(workload_id: str, product: Product, day: date) -> str:
    """Name the Delta application whose transactions order the commits of a day."""
    return f"backfill:{workload_id}:{product.maker}:{day.isoformat()}"


def land(
    lake: "Lake",
    workload_id: str,
    product: Product,
    name: PartName,
    rows: pa.Table,
    *,
    run: str,
    now: datetime,
) -> pa.Table:
    """Commit the rows of a part that the lake does not hold yet, and return them.

    Rows of a person who was erased meanwhile are left out.

    Raises:
        ConcurrencyError: others were quicker each time.
    """
    constants = {
        "workload_id": workload_id,
        "day": name.day,
        product.maker_column: product.maker,
        "part": name.part,
        "run": run,
        product.time_column: now,
    }
    for column, value in constants.items():
        rows = rows.append_column(column, pa.array([value] * rows.num_rows))
    application = application_id(workload_id, product, name.day)

    def attempt() -> pa.Table:
        version = lake.transaction(product.table, application) or 0
        missing = _missing(lake, workload_id, product, name.day, rows)
        if missing.num_rows and not lake.append(
            product.table, missing, once=(application, version + 1)
        ):
            raise ConcurrencyError(
                f"Another process landed rows of {name.day} first.", next_step="run it again"
            )
        return missing

    landed: pa.Table = lake.retry(attempt)
    return landed


def _missing(
    lake: "Lake", workload_id: str, product: Product, day: date, rows: pa.Table
) -> pa.Table:
    # What is stored counts, also rows of erased persons that readers no longer see.
    values = {"workload": workload_id, "maker": product.maker, "day": day}
    present = lake.query(
        f"SELECT inference_id FROM stored.{product.table} WHERE workload_id = $workload "  # noqa: S608 - a declared table
        f"AND day = $day AND {product.maker_column} = $maker",
        values,
    )["inference_id"]
    erased = lake.query(
        "SELECT subject_id FROM stored.erasures WHERE workload_id IS NULL OR workload_id = $workload",
        {"workload": workload_id},
    )["subject_id"]
    is_present = pc.is_in(rows["inference_id"], value_set=present.combine_chunks())
    is_erased = pc.is_in(rows["subject_id"], value_set=erased.combine_chunks())
    is_erased = pc.and_(is_erased, pc.is_valid(rows["subject_id"]))
    return rows.filter(pc.invert(pc.or_(is_present, is_erased)))

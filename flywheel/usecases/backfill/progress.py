"""`backfill_progress`: how far the backfills of a workload are, by release or encoder and day."""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from flywheel.similarity.sentence_vectors import ENCODER
from flywheel.usecases.backfill.products import Product
from flywheel.usecases.backfill.texts import DayCount, TextSource, count_days

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["MakerProgress", "backfill_progress"]

_RELEASES = """
SELECT DISTINCT release FROM backfill_answers
WHERE workload_id = $workload AND day BETWEEN $first AND $last ORDER BY release
"""
_HAS_VECTORS = """
SELECT 1 FROM text_vectors
WHERE workload_id = $workload AND encoder = $encoder AND day BETWEEN $first AND $last LIMIT 1
"""


@dataclass(frozen=True)
class MakerProgress:
    """Where the days of one release or encoder stand, those without a row among them."""

    table: str
    maker: str
    days: tuple[DayCount, ...]


def backfill_progress(
    platform: "Platform", workload_id: str, first: date, last: date
) -> list[MakerProgress]:
    """Count by day what every release and the encoder made of the texts from ``first`` to ``last``."""
    lake = platform.lake
    values = {"workload": workload_id, "first": first, "last": last}
    products = [Product.answers(row["release"]) for row in lake.rows(_RELEASES, values)]
    if lake.rows(_HAS_VECTORS, values | {"encoder": ENCODER}):
        products.append(Product.vectors())
    return [
        MakerProgress(
            product.table,
            product.maker,
            tuple(count_days(lake, workload_id, product, TextSource(first, last))),
        )
        for product in products
    ]

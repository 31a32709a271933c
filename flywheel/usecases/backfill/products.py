"""`Product`: what a backfill makes of a text, and the lake's table that it lands in."""

from dataclasses import dataclass
from typing import Self

from flywheel.similarity.sentence_vectors import ENCODER

__all__ = ["Product"]


@dataclass(frozen=True)
class Product:
    """Rows of one table that one release or encoder made.

    Attributes:
        table: name of the lake table.
        maker_column: its column that names who made a row.
        maker: that name.
        time_column: its column that says when a row was written.
        error: its column that says why a text has no result; None where every text has one.
    """

    table: str
    maker_column: str
    maker: str
    time_column: str
    error: str | None

    @classmethod
    def answers(cls, release: str) -> Self:
        """Return the answers of a release."""
        return cls("backfill_answers", "release", release, "answered_at", "error")

    @classmethod
    def vectors(cls) -> Self:
        """Return the sentence vectors."""
        return cls("text_vectors", "encoder", ENCODER, "embedded_at", None)

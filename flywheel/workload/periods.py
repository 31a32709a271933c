"""Calendar periods of a cadence and their names: ``2026Q4``, ``2026M11``, ``2026``."""

from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

__all__ = ["Cadence", "next_period_start", "period_name", "period_start", "periods_a_year"]

Cadence = Literal["monthly", "quarterly", "yearly"]

_MONTHS: dict[Cadence, int] = {"monthly": 1, "quarterly": 3, "yearly": 12}


def periods_a_year(cadence: Cadence) -> float:
    """Return how many periods a year has."""
    return 12 / _MONTHS[cadence]


def period_start(cadence: Cadence, at: datetime, timezone: str = "UTC") -> datetime:
    """Return the UTC moment at which the period that contains ``at`` began locally."""
    local = at.astimezone(ZoneInfo(timezone))
    months = _MONTHS[cadence]
    first = (local.month - 1) // months * months + 1
    start = datetime(local.year, first, 1, tzinfo=ZoneInfo(timezone))
    return start.astimezone(UTC)


def next_period_start(cadence: Cadence, at: datetime, timezone: str = "UTC") -> datetime:
    """Return the UTC moment at which the period after the one of ``at`` begins locally."""
    local = period_start(cadence, at, timezone).astimezone(ZoneInfo(timezone))
    month = local.month - 1 + _MONTHS[cadence]
    start = datetime(local.year + month // 12, month % 12 + 1, 1, tzinfo=ZoneInfo(timezone))
    return start.astimezone(UTC)


def period_name(cadence: Cadence, at: datetime, timezone: str = "UTC") -> str:
    """Name the period that contains ``at``."""
    local = at.astimezone(ZoneInfo(timezone))
    if cadence == "yearly":
        return f"{local.year}"
    if cadence == "monthly":
        return f"{local.year}M{local.month:02d}"
    return f"{local.year}Q{(local.month - 1) // 3 + 1}"

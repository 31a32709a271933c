"""`assess_worth`: what a workload costs and brings, from the lake, the state and a file of prices."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.economics.figure import Figure
from flywheel.economics.measurements import Judgments, Measurements, ModelUse, Trainings
from flywheel.economics.prices import Prices, read_prices
from flywheel.economics.worth import Worth, assess
from flywheel.economics.worth_picture import draw_worth
from flywheel.io.atomic import write_text
from flywheel.io.records import Row
from flywheel.release.model_card import training_hours
from flywheel.workload.periods import periods_a_year

if TYPE_CHECKING:
    from flywheel.state import Cycle, Release
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["PRICES_FILE", "Figure", "Worth", "assess_worth", "find_prices", "write_picture"]

PRICES_FILE = "prices.yaml"
_DAY_SECONDS = 86_400.0

_SPAN = """
SELECT min("timestamp") AS first, max("timestamp") AS last FROM answered_inferences
WHERE workload_id = $workload AND "timestamp" <= $now
"""
# An adapter of ours, or the base under it, answered where the event names a release.
_MODELS = """
SELECT release IS NOT NULL AS is_small,
       CASE WHEN release IS NOT NULL THEN 'the small model'
            ELSE coalesce(base_model, 'unnamed model') END AS model,
       count(*) FILTER (error IS NULL) AS answers, count(*) FILTER (error IS NOT NULL) AS failed,
       avg(prompt_tokens) FILTER (tokens) AS input_tokens,
       avg(completion_tokens) FILTER (tokens) AS output_tokens,
       count(*) FILTER (tokens) AS with_tokens,
       avg(latency_ms) FILTER (error IS NULL) / 1000 AS seconds,
       count(latency_ms) FILTER (error IS NULL) AS with_seconds
FROM (SELECT *, error IS NULL AND prompt_tokens IS NOT NULL AND completion_tokens IS NOT NULL
                AS tokens
      FROM answered_inferences
      WHERE workload_id = $workload AND "timestamp" > $start AND "timestamp" <= $end)
GROUP BY ALL ORDER BY answers DESC, model
"""
_JUDGMENTS = """
SELECT count(*) AS count, count(*) FILTER (simulated) AS simulated,
       median(seconds) FILTER (seconds > 0) AS seconds, count(*) FILTER (seconds > 0) AS timed
FROM latest_annotations
WHERE workload_id = $workload AND NOT deleted AND created_at > $start AND created_at <= $end
"""
_ACCEPTED = """
SELECT count(DISTINCT correction_id) AS accepted FROM latest_corrections
WHERE workload_id = $workload AND status = 'accepted' AND source = 'review'
  AND accepted_at > $start AND accepted_at <= $end
"""


def find_prices(platform: "Platform", file: Path | None) -> Prices:
    """Read the prices of a file, or those in the home; without either all prices are missing.

    Raises:
        NotFoundError: the named file is not there.
        ConfigurationError: it is not a valid file of prices.
    """
    home_file = platform.home / PRICES_FILE
    if file is None and not home_file.is_file():
        return Prices()
    return read_prices(file or home_file)


def assess_worth(
    platform: "Platform",
    workload_id: str,
    prices: Prices,
    *,
    days: int = 30,
    tier: str | None = None,
) -> Worth:
    """Measure a workload and put prices to it.

    Args:
        platform: holds answers, judgments and releases.
        workload_id: whose costs they are.
        prices: what a person stated.
        days: length of the window of answers, up to the newest one.
        tier: the tier to compare with; default: the prices' baseline.

    Raises:
        NotFoundError: there is no such workload or tier.
    """
    return assess(prices, _measure(platform, workload_id, days), tier=tier)


def write_picture(worth: Worth, file: Path) -> None:
    """Write the 24 months as an SVG.

    Raises:
        MeasurementError: figures are missing, so that there is nothing to draw.
    """
    write_text(file, draw_worth(worth))


def _measure(platform: "Platform", workload_id: str, days: int) -> Measurements:
    workload = platform.workload(workload_id)
    now = platform.clock.now()
    start, end = _window(platform, workload_id, now, days)
    rows = platform.lake.rows(_MODELS, {"workload": workload_id, "start": start, "end": end})
    cycles = platform.state.cycles.of(workload_id)
    cycle = max(cycles, key=lambda one: one.opened_at, default=None)
    releases = platform.state.releases.of(workload_id)
    since = datetime.fromtimestamp(0, tz=now.tzinfo)
    per_year = periods_a_year(workload.cadence)
    return Measurements(
        workload_id=workload_id,
        start=start,
        end=end,
        days=max((end - start).total_seconds() / _DAY_SECONDS, 1.0),
        failed=sum(row["failed"] for row in rows),
        models=tuple(_use(row) for row in rows if row["answers"]),
        judgments=_judgments(platform, workload, since, now),
        trainings=_trainings(releases),
        cycles_per_year=per_year,
        planned_judgments_per_year=workload.review.budget * per_year,
        cycle=None if cycle is None else cycle.name,
        cycle_judgments=None
        if cycle is None
        else _judgments(
            platform, workload, _watermark_before(cycles, cycle) or since, cycle.watermark
        ),
        cycle_trainings=None
        if cycle is None
        else _trainings([one for one in releases if one.cycle == cycle.name]),
    )


def _window(
    platform: "Platform", workload_id: str, now: datetime, days: int
) -> tuple[datetime, datetime]:
    # Up to the newest answer, and not from before the first one: a volume of half a window of
    # traffic is not spread over all of it.
    [span] = platform.lake.rows(_SPAN, {"workload": workload_id, "now": now})
    end = span["last"] or now
    start = end - timedelta(days=days)
    if span["first"] is not None and span["first"] > start:
        start = span["first"] - timedelta(seconds=1)
    return start, end


def _use(row: Row) -> ModelUse:
    return ModelUse(
        model=row["model"],
        is_small=row["is_small"],
        answers=row["answers"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        with_tokens=row["with_tokens"],
        seconds=row["seconds"],
        with_seconds=row["with_seconds"],
    )


def _judgments(
    platform: "Platform", workload: "Workload", start: datetime, end: datetime
) -> Judgments:
    values = {"workload": workload.id, "start": start, "end": end}
    [judged] = platform.lake.rows(_JUDGMENTS, values)
    [accepted] = platform.lake.rows(_ACCEPTED, values)
    return Judgments(
        count=judged["count"],
        accepted=accepted["accepted"],
        seconds=judged["seconds"],
        timed=judged["timed"],
        simulated=judged["simulated"],
    )


def _trainings(releases: Iterable["Release"]) -> Trainings:
    lineages = [one.recorded_lineage for one in releases]
    measured = [training_hours(one.metrics) for one in lineages if one is not None]
    hours = [one for one in measured if one is not None]
    return Trainings(len(hours), sum(hours))


def _watermark_before(cycles: Iterable["Cycle"], cycle: "Cycle") -> datetime | None:
    earlier = [one.watermark for one in cycles if one.watermark < cycle.watermark]
    return max(earlier, default=None)

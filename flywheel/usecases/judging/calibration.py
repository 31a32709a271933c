"""`calibrate_judge` and `judge_standing`: does a judge's word count, and until when?

Only the control slice is asked about: drawn at random from production, judged by people who saw no
answer, so that what is found holds for production. The record is bound to prompt, rubric and model
by their digest: a change of any of them is another judge.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from flywheel.errors import FlywheelError
from flywheel.lake.tables import TABLES
from flywheel.quality.control_slice import ControlVerdict, control_verdicts
from flywheel.quality.judging.agreement import Comparison, JudgeCalibration, decide_calibration
from flywheel.usecases.judging.answers import answers_of
from flywheel.usecases.judging.asking import AskReport, ask_about, verdicts_of
from flywheel.usecases.judging.source import judge_rules, open_judge, standing_digest

if TYPE_CHECKING:
    from flywheel.lake.store import Lake
    from flywheel.wiring import Platform
    from flywheel.workload.judge import JudgeRules
    from flywheel.workload.model import Workload

__all__ = [
    "CalibrationReport",
    "JudgeStanding",
    "PastCalibration",
    "calibrate_judge",
    "judge_standing",
    "past_calibrations",
]

_LOOK_BACK = timedelta(days=180)
_MOST = 500
_LOOKS = """
SELECT DISTINCT digest, judged, agreement FROM judge_calibrations
WHERE workload_id = $workload AND calibrated_at > $since AND agreement IS NOT NULL
"""
_NEWEST = """
SELECT * FROM judge_calibrations WHERE workload_id = $workload AND digest = $digest
ORDER BY calibrated_at DESC LIMIT 1
"""
_PAST = """
SELECT calibrated_at, source, digest, judged, agreement, lower, upper, floor, calibrated, reason,
       expires_at, simulated
FROM judge_calibrations WHERE workload_id = $workload ORDER BY calibrated_at DESC LIMIT $most
"""


@dataclass(frozen=True)
class CalibrationReport:
    """What a calibration found, and how much the judge was asked for it."""

    workload_id: str
    source: str
    digest: str
    calibration: JudgeCalibration
    expires_at: datetime
    simulated: bool
    asking: AskReport


@dataclass(frozen=True)
class JudgeStanding:
    """Whether a judge's word counts now, with the reason.

    What follows ``reason`` is of its newest comparison, None where there is none (figures also where
    too few answers were compared); see `JudgeCalibration`. ``digest`` is None where the judge cannot
    be named.
    """

    source: str
    digest: str | None
    calibrated: bool
    reason: str
    expires_at: datetime | None = None
    calibrated_at: datetime | None = None
    judged: int | None = None
    agreement: float | None = None
    lower: float | None = None
    upper: float | None = None
    slope: float | None = None
    simulated: bool | None = None


@dataclass(frozen=True)
class PastCalibration:
    """One comparison of a judge with people, as it was recorded.

    ``agreement`` with its interval is None where too few answers were compared; ``floor`` is what
    the lower end had to reach, ``simulated`` whether simulated people were among those compared with.
    """

    calibrated_at: datetime
    source: str
    digest: str
    judged: int
    agreement: float | None
    lower: float | None
    upper: float | None
    floor: float
    calibrated: bool
    reason: str
    expires_at: datetime
    simulated: bool


def past_calibrations(
    platform: "Platform", workload_id: str, *, most: int = 10
) -> tuple[PastCalibration, ...]:
    """Return the newest comparisons of a workload's judges with people, of former judges too."""
    rows = platform.lake.rows(_PAST, {"workload": workload_id, "most": most})
    return tuple(PastCalibration(**row) for row in rows)


def calibrate_judge(platform: "Platform", workload: "Workload") -> CalibrationReport:
    """Ask the judge about answers that people judged, compare, and keep the result. Safe to repeat.

    The newest control answers of half a year are taken, 500 at most, within the day's ration: what
    is left is asked by a repeat on another day. Verdicts older than ``expires_days`` do not count: an
    endpoint may have changed since, and only new ones can show it.

    Raises:
        ConfigurationError: the workload names no judge, or its key is missing.
        NotFoundError: its local base was not built.
    """
    rules, now, lake = judge_rules(workload), platform.clock.now(), platform.lake
    people = control_verdicts(lake, workload, now - _LOOK_BACK, now)
    newest = sorted(people, key=lambda one: one.event_time, reverse=True)[:_MOST]
    with open_judge(platform, workload) as judge:
        asking = ask_about(platform, workload, judge, answers_of(lake, workload.id, newest))
    since = now - timedelta(days=rules.expires_days)
    verdicts = verdicts_of(lake, workload.id, judge.digest, since=since)
    compared = [one for one in newest if one.inference_id in verdicts]
    comparisons = [
        Comparison(one.weight, one.right, verdicts[one.inference_id]) for one in compared
    ]
    calibration = decide_calibration(comparisons, floor=rules.floor)
    looks = _looks(lake, workload.id, since) | {
        (judge.digest, calibration.judged, calibration.agreement)
    }
    calibration = decide_calibration(comparisons, floor=rules.floor, looks=len(looks))
    report = CalibrationReport(
        workload_id=workload.id,
        source=rules.source.name,
        digest=judge.digest,
        calibration=calibration,
        expires_at=now + timedelta(days=rules.expires_days),
        simulated=any(one.simulated for one in compared),
        asking=asking,
    )
    _keep(lake, report, compared, rules, now)
    return report


def judge_standing(platform: "Platform", workload: "Workload") -> JudgeStanding:
    """Say whether the judge's word counts: as the file states it, and at this moment.

    A floor that was raised or a shorter time in the file counts at once.

    Raises:
        ConfigurationError: the workload names no judge.
    """
    rules, now = judge_rules(workload), platform.clock.now()
    name = rules.source.name
    try:
        digest = standing_digest(platform, workload)
    except FlywheelError as error:
        return JudgeStanding(name, None, False, f"it cannot be asked: {error.message}")
    rows = platform.lake.rows(_NEWEST, {"workload": workload.id, "digest": digest})
    if not rows:
        reason = "it was not compared with people under this prompt, rubric and model"
        return JudgeStanding(name, digest, False, reason)
    (record,) = rows
    expires_at = min(
        record["expires_at"], record["calibrated_at"] + timedelta(days=rules.expires_days)
    )
    reason = str(record["reason"])
    counts = bool(record["calibrated"])
    if counts and record["lower"] < rules.floor:
        counts, reason = False, f"the floor was raised to {rules.floor:g} since it was calibrated"
    elif counts and now >= expires_at:
        counts, reason = False, f"its calibration expired on {expires_at:%Y-%m-%d}"
    figures = ("calibrated_at", "judged", "agreement", "lower", "upper", "slope", "simulated")
    facts = {figure: record[figure] for figure in figures}
    return JudgeStanding(name, digest, counts, reason, expires_at, **facts)


def _looks(lake: "Lake", workload_id: str, since: datetime) -> set[tuple[str, int, float | None]]:
    # A repeat that compares nothing new is no further look.
    rows = lake.rows(_LOOKS, {"workload": workload_id, "since": since})
    return {(row["digest"], row["judged"], row["agreement"]) for row in rows}


def _keep(
    lake: "Lake",
    report: CalibrationReport,
    compared: Sequence[ControlVerdict],
    rules: "JudgeRules",
    now: datetime,
) -> None:
    moments = [one.event_time for one in compared]
    row = asdict(report.calibration) | {
        "workload_id": report.workload_id,
        "digest": report.digest,
        "source": report.source,
        "floor": rules.floor,
        "simulated": report.simulated,
        "first_event": min(moments, default=None),
        "last_event": max(moments, default=None),
        "calibrated_at": now,
        "expires_at": report.expires_at,
    }
    schema = TABLES["judge_calibrations"].schema
    lake.append("judge_calibrations", pa.Table.from_pylist([row], schema=schema))

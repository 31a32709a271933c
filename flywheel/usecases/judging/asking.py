"""`ask_about`: ask the judge about answers, each once under one digest, within the day's ration."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from flywheel.errors import FlywheelError
from flywheel.io.lock import exclusive
from flywheel.io.records import Row
from flywheel.lake.tables import TABLES
from flywheel.privacy.masking import Masking
from flywheel.review.sampling.windows import start_of_day
from flywheel.usecases.judging.source import Judge, Opinion
from flywheel.workload.judge_question import CORRECT, INCORRECT, judge_question

if TYPE_CHECKING:
    from flywheel.lake.store import Lake
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["AskReport", "ShownAnswer", "ask_about", "asked_today", "verdicts_of"]

# One commit of the lake for each, and what a crash may cost to ask again.
_AT_ONCE = 32
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_VERDICTS = """
SELECT inference_id, verdict FROM judge_verdicts
WHERE workload_id = $workload AND digest = $digest AND asked_at >= $since
QUALIFY row_number() OVER (PARTITION BY inference_id ORDER BY asked_at) = 1
"""
_TODAY = """
SELECT count(*) AS asked FROM judge_verdicts WHERE workload_id = $workload AND asked_at >= $midnight
"""


@dataclass(frozen=True)
class ShownAnswer:
    """An answer as the judge is shown it; ``output`` is the parsed answer."""

    inference_id: str
    subject_id: str | None
    input: str
    output: Any


@dataclass(frozen=True)
class AskReport:
    """How many answers the judge was asked about, had been before, or was not asked about.

    ``problem`` says why it was not asked about the rest: what went wrong, or that the ration is
    spent (``ration_spent``).
    """

    asked: int = 0
    known: int = 0
    left_out: int = 0
    problem: str | None = None
    ration_spent: bool = False


def verdicts_of(
    lake: "Lake", workload_id: str, digest: str, *, since: datetime = _EVER
) -> dict[str, bool | None]:
    """Return what a judge said by inference id: approved, not, or None where it said neither.

    Args:
        lake: holds the verdicts.
        workload_id: whose answers.
        digest: of the judge.
        since: verdicts given before are left out.
    """
    values = {"workload": workload_id, "digest": digest, "since": since}
    rows = lake.rows(_VERDICTS, values)
    return {
        row["inference_id"]: None if row["verdict"] is None else row["verdict"] == CORRECT
        for row in rows
    }


def asked_today(platform: "Platform", workload: "Workload") -> int:
    """Return how many answers the judges of a workload were asked about today, in UTC."""
    values = {"workload": workload.id, "midnight": start_of_day(platform.clock.now())}
    return int(platform.lake.rows(_TODAY, values)[0]["asked"])


def ask_about(
    platform: "Platform", workload: "Workload", judge: Judge, answers: Sequence[ShownAnswer]
) -> AskReport:
    """Ask about answers in their order; what was asked before is not asked again.

    It stops at the first batch in which the judge fails, and at the end of the day's ration; what
    was answered until then is kept. The text leaves this process with the workload's masks on.
    """
    lock = platform.home / "judge" / f"{workload.id}.lock"
    with exclusive(lock):
        verdicts = verdicts_of(platform.lake, workload.id, judge.digest)
        missing = [one for one in answers if one.inference_id not in verdicts]
        left = max(0, judge.rules.per_day - asked_today(platform, workload))
        asked, problem = 0, None
        for start in range(0, min(left, len(missing)), _AT_ONCE):
            batch = missing[start : min(start + _AT_ONCE, left)]
            opinions = judge.ask([_question(workload, one) for one in batch])
            given = [
                (one, opinion)
                for one, opinion in zip(batch, opinions, strict=True)
                if isinstance(opinion, Opinion)
            ]
            _keep(platform, workload, judge, given)
            asked += len(given)
            failure = next((one for one in opinions if isinstance(one, FlywheelError)), None)
            if failure is not None:
                problem = str(failure)
                break
    is_spent = problem is None and len(missing) > left
    if is_spent:
        problem = f"the ration of {judge.rules.per_day} answers a day is spent"
    return AskReport(asked, len(answers) - len(missing), len(missing) - asked, problem, is_spent)


def _question(workload: "Workload", one: ShownAnswer) -> str:
    if workload.privacy is None:
        return judge_question(one.input, one.output)
    masking = Masking(workload.privacy)
    return judge_question(masking.text(one.input), masking.value(one.output))


def _keep(
    platform: "Platform",
    workload: "Workload",
    judge: Judge,
    given: Collection[tuple[ShownAnswer, Opinion]],
) -> None:
    if given:
        rows = list(_rows(workload.id, judge, given, platform.clock.now()))
        schema = TABLES["judge_verdicts"].schema
        platform.lake.append("judge_verdicts", pa.Table.from_pylist(rows, schema=schema))


def _rows(
    workload_id: str,
    judge: Judge,
    given: Collection[tuple[ShownAnswer, Opinion]],
    now: datetime,
) -> Iterator[Row]:
    words = {True: CORRECT, False: INCORRECT, None: None}
    for one, opinion in given:
        tokens = opinion.prompt_tokens, opinion.completion_tokens
        yield {
            "workload_id": workload_id,
            "digest": judge.digest,
            "inference_id": one.inference_id,
            "verdict": words[opinion.approved],
            "prompt_tokens": tokens[0],
            "completion_tokens": tokens[1],
            "cost": judge.rules.source.cost(*tokens),
            "subject_id": one.subject_id,
            "asked_at": now,
        }

"""`erase_person_job`: a form in which a person asks for an erasure, as `flywheel erase` does."""

import re
from typing import Any

import dagster as dg

from flywheel.errors import RefusedError, UnavailableError
from flywheel.orchestration.keys import ERASE_JOB, MAX_RUNTIME_TAG
from flywheel.orchestration.outcomes import dagster_outcomes
from flywheel.orchestration.resources import PlatformParam
from flywheel.usecases.erasing.run import erase
from flywheel.wiring import Platform

__all__ = ["erase_person_job"]

_SECONDS = 3600
_HASH = re.compile(r"[0-9a-fA-F]{32}")
_FORM = {
    "subject_hash": dg.Field(
        str,
        description="hash of the person's id, as `flywheel erase ID --dry-run` prints it: Dagster "
        "keeps what is written here",
    ),
    "asked_by": dg.Field(str, description="your name, as the audit will have it"),
    "reason": dg.Field(str, description="why, in a sentence"),
    "workload": dg.Field(
        str, default_value="", is_required=False, description="in this one alone; empty: in all"
    ),
}


@dg.op(config_schema=_FORM, description="Erases the person, with a receipt of each store.")
def erase_person(context: dg.OpExecutionContext, platform: PlatformParam) -> None:
    """Erase the person that the form names."""
    with dagster_outcomes():
        _erase(context, platform, context.op_config)


@dg.job(
    name=ERASE_JOB,
    description=(
        "Removes a person from every store, with a receipt of each: fill in the form in the "
        "Launchpad. The same as `flywheel erase`; safe to run again. Dead letters that spell the "
        "id without its hash are found by the command, with the id itself."
    ),
    tags={MAX_RUNTIME_TAG: _SECONDS},
)
def erase_person_job() -> None:
    """Erase a person from every store."""
    erase_person()


def _erase(context: dg.OpExecutionContext, platform: Platform, form: dict[str, Any]) -> None:
    if not _HASH.fullmatch(form["subject_hash"].strip()):
        raise RefusedError(
            "This is not the hash of an id (32 hexadecimal digits).",
            next_step="run `flywheel erase ID --dry-run`, which prints it",
        )
    report = erase(
        platform,
        form["subject_hash"],
        actor=form["asked_by"],
        reason=form["reason"],
        workload_id=form["workload"].strip() or None,
        on_receipt=lambda one: context.log.info(
            "; ".join([f"{one.store}: {one.count} {one.what}", *one.remains])
        ),
    )
    context.add_output_metadata({one.store: one.count for one in report.receipts})
    if not report.complete:
        away = ", ".join(one.store for one in report.receipts if not one.done)
        raise UnavailableError(f"Not reached: {away}.", next_step="run the job again")

"""`verify_deployment`: every store, file and record that a decision rests on, and whether it is as it was.

A check that cannot be made is a finding of its own; none stops the others.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.errors import FlywheelError, NotFoundError, TransientError
from flywheel.usecases.verify_decisions import audit_checks, decision_checks
from flywheel.usecases.verify_files import is_state_gone, store_checks, workload_checks

if TYPE_CHECKING:
    from flywheel.ingest.ledger import Ledger
    from flywheel.wiring import Platform

__all__ = ["Verification", "verify_deployment"]

_BAD = ("BROKEN", "NOT VERIFIED", "DOES NOT BALANCE")
_LONGEST = 400


@dataclass(frozen=True)
class Verification:
    """Every finding by what was looked at, and the ledger where it could be counted."""

    findings: Mapping[str, str]
    ledger: "Ledger | None"

    @property
    def good(self) -> bool:
        """Say whether everything is as it was."""
        return not any(text.startswith(_BAD) for text in self.findings.values())


def verify_deployment(platform: "Platform") -> Verification:
    """Look at everything, and change nothing.

    Raises:
        NotFoundError: there is no deployment in the home.
    """
    if not platform.home.is_dir():
        raise NotFoundError(
            f"There is no deployment in {platform.home.absolute()}.",
            next_step="set FLYWHEEL_HOME, or go to the folder that holds .flywheel",
        )
    findings: dict[str, str] = {}
    ledgers: list[Ledger] = []
    if is_state_gone(platform):  # opening it would make an empty one
        findings["ledger"] = "NOT VERIFIED: the state is gone"
        return Verification(findings | _all(platform, store_checks), None)
    findings["ledger"] = finding(lambda: _ledger(platform, ledgers))
    for checks in (
        store_checks,
        audit_checks,
        workload_checks,
        decision_checks,
        _erasure_checks,
    ):
        findings |= _all(platform, checks)
    return Verification(findings, ledgers[0] if ledgers else None)


def _erasure_checks(platform: "Platform") -> Mapping[str, Callable[[], str]]:
    from flywheel.usecases.erasing.check import erasure_checks

    return erasure_checks(platform)


def finding(check: Callable[[], str]) -> str:
    """Run one check; whatever it raises becomes the finding."""
    try:
        return check()
    except TransientError as error:
        return f"NOT VERIFIED: {error.message}"
    except FlywheelError as error:
        return f"BROKEN: {error.message}"
    # A damaged file makes a library raise anything, and is one line among the others.
    except Exception as error:  # noqa: BLE001
        said = " ".join(str(error).split())[:_LONGEST]
        return f"BROKEN: {type(error).__name__}: {said}"


def _all(
    platform: "Platform", checks: "Callable[[Platform], Mapping[str, Callable[[], str]]]"
) -> dict[str, str]:
    # What lists the checks may fail as they do: a workload file that does not load, a state.
    listed: dict[str, Callable[[], str]] = {}

    def read_list() -> str:
        listed.update(checks(platform))
        return ""

    failure = finding(read_list)
    found = {checks.__name__.strip("_").replace("_", " "): failure} if failure else {}
    return found | {what: finding(check) for what, check in listed.items()}


def _ledger(platform: "Platform", ledgers: "list[Ledger]") -> str:
    from flywheel.ingest.ledger import prove
    from flywheel.usecases.retired_topics import (
        log_topics,
        topics_beside_the_log,
    )

    topics = log_topics(platform)
    if topics:
        ledgers.append(prove(platform.log, platform.lake, topics=list(topics)))
    beside = topics_beside_the_log(platform)
    wrong = [topic.sentence() for topic in beside if not topic.is_accounted_for]
    if not all(ledger.balances for ledger in ledgers):
        wrong.insert(0, "see the table")
    if wrong:
        return f"DOES NOT BALANCE: {'; '.join(wrong)}"
    settled = [topic.sentence() for topic in beside]
    return "; ".join(["balances" if ledgers else "nothing was produced yet", *settled])

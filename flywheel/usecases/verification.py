"""`verify_deployment`: every store, file and record that a decision rests on, and whether it is as it was.

A check that cannot be made is a finding of its own; none stops the others.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from flywheel.errors import FlywheelError, NotFoundError, TransientError
from flywheel.usecases.ledger import LedgerProof, prove_ledger
from flywheel.usecases.verify_artifacts import published_checks
from flywheel.usecases.verify_decisions import audit_checks, decision_checks
from flywheel.usecases.verify_files import is_state_gone, store_checks, workload_checks

if TYPE_CHECKING:
    from flywheel.ingest.ledger import Ledger
    from flywheel.wiring import Platform

    _Checks = Callable[[Platform], Mapping[str, Callable[[], str]]]

__all__ = ["Verification", "finding", "is_bad", "verify_deployment"]

_BAD = ("BROKEN", "NOT VERIFIED", "DOES NOT BALANCE")
_LONGEST = 400


@dataclass(frozen=True)
class Verification:
    """Every finding by what was looked at, and the ledger where it could be counted."""

    findings: Mapping[str, str]
    ledger: "Ledger | None"

    @property
    def good(self) -> bool:
        """Return whether everything is as it was."""
        return not any(map(is_bad, self.findings.values()))


def is_bad(text: str) -> bool:
    """Return whether a finding says that something is not as it was, or was not looked at."""
    return text.startswith(_BAD)


def verify_deployment(platform: "Platform", *, full: bool = False) -> Verification:
    """Look at everything, and change nothing of it.

    What was found good is kept beside the lake: events and data files that were proven before, and
    not touched since, are not read again.

    Args:
        platform: the deployment.
        full: read every event and every data file all the same.

    Raises:
        NotFoundError: there is no deployment in the home.
    """
    if not platform.home.is_dir():
        raise NotFoundError(
            f"There is no deployment in {platform.home.absolute()}.",
            next_step="set FLYWHEEL_HOME, or go to the folder that holds .flywheel",
        )
    stores = partial(store_checks, full=full)
    findings: dict[str, str] = {}
    proofs: list[LedgerProof] = []
    if is_state_gone(platform):  # opening it would make an empty one
        findings["ledger"] = "NOT VERIFIED: the state is gone"
        return Verification(findings | _all(platform, "store checks", stores), None)
    findings["ledger"] = finding(lambda: _ledger(platform, proofs, full=full))
    findings |= _all(platform, "store checks", stores)
    others: dict[str, _Checks] = {
        "audit checks": audit_checks,
        "workload checks": workload_checks,
        "decision checks": decision_checks,
        "erasure checks": _erasure_checks,
        "published artifacts": partial(published_checks, full=full),
    }
    for name, checks in others.items():
        findings |= _all(platform, name, checks)
    ledger = proofs[0].ledger if proofs else None
    return Verification(findings, ledger if ledger and ledger.partitions else None)


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
        message = " ".join(str(error).split())[:_LONGEST]
        return f"BROKEN: {type(error).__name__}: {message}"


def _all(
    platform: "Platform",
    name: str,
    checks: "_Checks",
) -> dict[str, str]:
    # What lists the checks may fail as they do: a workload file that does not load, a state.
    listed: dict[str, Callable[[], str]] = {}

    def read_list() -> str:
        listed.update(checks(platform))
        return ""

    failure = finding(read_list)
    findings = {name: failure} if failure else {}
    return findings | {subject: finding(check) for subject, check in listed.items()}


def _ledger(platform: "Platform", proofs: "list[LedgerProof]", *, full: bool) -> str:
    # The proof is kept for its table, whatever its sentence says.
    proofs.append(prove_ledger(platform, full=full))
    return proofs[0].sentence()

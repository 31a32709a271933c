"""`accept_files` and `accept_audit`: an owner goes on from what can no longer be proved.

A proof that was lost (digests of the lake's files, hashes of the audit) stays a finding of `verify`
until it comes back from a backup or a person accepts what is there, by name and with a reason.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.release.four_eyes import require_person

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["accept_audit", "accept_files"]


def accept_files(platform: "Platform", *, person: str, reason: str) -> dict[str, int]:
    """Take the digests of the lake's files that lost them; return how many files, by table.

    Files that differ from their digests stay a finding. Safe to repeat.

    Raises:
        RefusedError: name or reason are missing.
    """
    from flywheel.lake.check import accept_files as accept
    from flywheel.lake.tables import TABLES

    person, why = require_person(person, reason, what="Accepting files")
    accepted = {name: accept(platform.lake, name) for name in TABLES}
    accepted = {name: files for name, files in accepted.items() if files}
    platform.state.audit.append(
        "files.accepted", "lake", person, {"files": accepted, "reason": why}
    )
    return accepted


def accept_audit(platform: "Platform", *, person: str, reason: str) -> tuple[str, Path | None]:
    """Go on from the audit as it is; return its newest NUMBER:HASH and where the former file is.

    Raises:
        RefusedError: name or reason are missing.
        IntegrityError: the chain itself is broken, which nobody can accept.
    """
    person, why = require_person(person, reason, what="Accepting the audit")
    former = platform.state.audit.keep_heads()
    row = platform.state.audit.append("audit.accepted", "audit", person, {"reason": why})
    return f"{row.seq}:{row.hash}", former

"""`accept_files` and `accept_audit`: an owner accepts what can no longer be proved.

A proof that was lost (digests of the lake's files, hashes of the audit) stays a finding of `verify`
until it comes back from a backup or a person accepts what is there, by name and with a reason.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.release.four_eyes import require_person
from flywheel.usecases.identity import require_identity

if TYPE_CHECKING:
    from flywheel.release.four_eyes import Actor
    from flywheel.wiring import Platform

__all__ = ["accept_audit", "accept_files"]


def accept_files(platform: "Platform", *, person: "str | Actor", reason: str) -> dict[str, int]:
    """Take the digests of the lake's files that lost them; return how many files, by table.

    Files that differ from their digests stay a finding. Safe to repeat.

    Raises:
        RefusedError: name or reason are missing, or a name alone is not enough any more.
    """
    from flywheel.lake.check import accept_files as accept
    from flywheel.lake.tables import TABLES

    actor = require_identity(platform, person)
    name, reason_text = require_person(actor.name, reason, action="Accepting files")
    accepted = {table: accept(platform.lake, table) for table in TABLES}
    accepted = {table: files for table, files in accepted.items() if files}
    details = {"files": accepted, "reason": reason_text, "identity": actor.identity}
    platform.state.audit.append("files.accepted", "lake", name, details)
    return accepted


def accept_audit(
    platform: "Platform", *, person: "str | Actor", reason: str
) -> tuple[str, Path | None]:
    """Go on from the audit as it is; return its newest NUMBER:HASH and where the former file is.

    Raises:
        RefusedError: name or reason are missing, or a name alone is not enough any more.
        IntegrityError: the chain itself is broken, which cannot be accepted.
    """
    actor = require_identity(platform, person)
    name, reason_text = require_person(actor.name, reason, action="Accepting the audit")
    former = platform.state.audit.keep_heads()
    details = {"reason": reason_text, "identity": actor.identity}
    row = platform.state.audit.append("audit.accepted", "audit", name, details)
    return f"{row.seq}:{row.hash}", former

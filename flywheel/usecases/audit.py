"""`audit_head` and `check_audit`: the audit's newest hash, and a check against one that was noted."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.errors import ConfigurationError, IntegrityError

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["AuditCheck", "AuditHead", "audit_head", "check_audit"]


@dataclass(frozen=True)
class AuditHead:
    """Number and hash of the newest row; the chain up to it is unbroken."""

    seq: int
    hash: str


@dataclass(frozen=True)
class AuditCheck:
    """A row that is as it was noted, and how many rows came after it."""

    seq: int
    hash: str
    later_rows: int


def audit_head(platform: "Platform") -> AuditHead:
    """Verify the audit's chain and return its newest row.

    Raises:
        IntegrityError: the chain is broken.
    """
    return AuditHead(*platform.state.audit.verify())


def check_audit(platform: "Platform", noted: str) -> AuditCheck:
    """Check that the audit still holds a row that was noted earlier, as NUMBER:HASH.

    Raises:
        ConfigurationError: ``noted`` is not NUMBER:HASH.
        IntegrityError: the audit was written again or cut off.
    """
    number, _, row_hash = noted.strip().partition(":")
    if not number.isdecimal() or not row_hash:
        raise ConfigurationError(
            f"{noted!r} is not NUMBER:HASH.", next_step="give what `flywheel audit head` printed"
        )
    chain = [(row.seq, row.hash) for row in platform.state.audit.of()]
    if (int(number), row_hash) not in chain:
        rows, newest = chain[-1] if chain else (0, "")
        raise IntegrityError(
            f"The audit has {rows} rows, newest {newest[:12]}, and none is {number} with that "
            "hash: it was written again or cut off.",
            next_step="restore the state database from a backup and compare the rows",
        )
    return AuditCheck(int(number), row_hash, audit_head(platform).seq - int(number))

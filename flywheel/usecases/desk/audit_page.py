"""`read_audit`: the audit trail, newest first, and whether its chain is unbroken."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from flywheel.errors import FlywheelError
from flywheel.usecases.desk.parts import page_of

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["AuditLine", "AuditPage", "read_audit"]

_SIZE = 50


@dataclass(frozen=True)
class AuditLine:
    """One row; ``details`` is its JSON text."""

    seq: int
    at: datetime
    event: str
    subject: str
    actor: str
    details: str
    hash: str


@dataclass(frozen=True)
class AuditPage:
    """One page of the trail; ``problem`` is None while the chain is unbroken."""

    rows: int
    head: str | None
    problem: str | None
    text: str
    total: int
    page: int
    pages: int
    lines: tuple[AuditLine, ...]


def read_audit(platform: "Platform", *, text: str = "", page: int = 1) -> AuditPage:
    """Return one page of the rows that hold a text in event, subject or actor.

    The chain and the file of its hashes are checked at every call.
    """
    audit = platform.state.audit
    head, problem = None, None
    try:
        head = audit.verify()[1]
    except FlywheelError as error:
        problem = str(error)
    needle = text.casefold()
    rows = audit.of()
    matches = [row for row in rows if needle in f"{row.event} {row.subject} {row.actor}".casefold()]
    shown, pages = page_of(len(matches), _SIZE, page)
    newest = list(reversed(matches))[(shown - 1) * _SIZE : shown * _SIZE]
    return AuditPage(
        rows=len(rows),
        head=head,
        problem=problem,
        text=text,
        total=len(matches),
        page=shown,
        pages=pages,
        lines=tuple(
            AuditLine(
                row.seq,
                row.at,
                row.event,
                row.subject,
                row.actor,
                json.dumps(row.details, ensure_ascii=False, sort_keys=True),
                row.hash,
            )
            for row in newest
        ),
    )

"""`list_erasures`: who was erased, with the receipts, and the releases that learned from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from flywheel.usecases.erasing.receipts import (
    Receipt,
    TrainedRelease,
    accept_release,
    read_receipts,
    trained_releases,
)
from flywheel.usecases.identity import require_identity

if TYPE_CHECKING:
    from flywheel.release.four_eyes import Actor
    from flywheel.wiring import Platform

__all__ = ["ErasedPerson", "ErasureList", "accept_trained_release", "list_erasures"]

_PEOPLE = "SELECT * FROM stored.erasures ORDER BY requested_at"


@dataclass(frozen=True)
class ErasedPerson:
    """One person's newest request, and the newest receipt of each store."""

    subject_id: str
    requested_by: str
    requested_at: datetime
    receipts: tuple[Receipt, ...]


@dataclass(frozen=True)
class ErasureList:
    """Every erased person by hash, and the releases that learned from one."""

    people: Mapping[str, ErasedPerson]
    releases: tuple[TrainedRelease, ...]


def list_erasures(platform: "Platform") -> ErasureList:
    """List erasures and what they left to decide."""
    rows = {row["subject_id"]: row for row in platform.lake.rows(_PEOPLE)}
    people = {
        subject: ErasedPerson(
            subject,
            row["requested_by"],
            row["requested_at"],
            tuple(one for _, one in read_receipts(platform.state, subject).values()),
        )
        for subject, row in rows.items()
    }
    return ErasureList(people, tuple(trained_releases(platform.state)))


def accept_trained_release(
    platform: "Platform", workload_id: str, release: str, *, actor: "str | Actor", reason: str
) -> TrainedRelease:
    """Record that a release serves on though it learned from an erased person.

    Raises:
        NotFoundError: the release learned from no erased person.
        RefusedError: name or reason are missing, or a name alone is not enough any more.
    """
    person = require_identity(platform, actor)
    return accept_release(platform.state, workload_id, release, actor=person, reason=reason)

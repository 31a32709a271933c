"""`erase`: remove a person from every store, with a receipt of each; `plan_erasure`: a dry run."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from flywheel.errors import FlywheelError, NotFoundError, RefusedError
from flywheel.lake.tables import TABLES
from flywheel.usecases.backup_record import ERASURES
from flywheel.usecases.erasing.backups import Erasure, add_erasure
from flywheel.usecases.erasing.person import Person, find_person, subject_ids
from flywheel.usecases.erasing.receipts import Receipt, write_receipt
from flywheel.usecases.erasing.stores import STORES, dead_letters_of

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["ErasureReport", "erase", "erase_again", "plan_erasure"]


@dataclass(frozen=True)
class ErasureReport:
    """Whom an erasure concerned, by the hash, and the receipt of every store."""

    subject_id: str
    workload_id: str | None
    receipts: tuple[Receipt, ...]

    @property
    def complete(self) -> bool:
        """Whether every store was reached."""
        return all(receipt.done for receipt in self.receipts)


def plan_erasure(
    platform: "Platform", subject: str, workload_id: str | None = None
) -> ErasureReport:
    """Count what every store holds of a person, and change nothing.

    Raises:
        NotFoundError: no store holds anything, or there is no such workload.
        RefusedError: the subject is empty.
    """
    person = _person(platform, subject, workload_id)
    report = _each_store(platform, person, change=False)
    if not _is_erased(platform, person) and not any(one.count for one in report.receipts):
        raise NotFoundError(
            f"No store holds anything of {subject!r}"
            f"{'' if workload_id is None else f' in {workload_id}'}.",
            next_step="check the id, and that FLYWHEEL_HASH_KEY is the key that hashed it",
        )
    return report


def erase(
    platform: "Platform",
    subject: str,
    *,
    actor: str,
    reason: str,
    workload_id: str | None = None,
    on_receipt: Callable[[Receipt], None] = lambda _: None,
) -> ErasureReport:
    """Remove a person from every store, for good.

    From the first step on the person's rows are no longer read, and what arrives later of the
    person stays hidden. A store that fails is named in its receipt and stops no other one; run
    again, the erasure finishes what is left.

    Args:
        platform: the deployment.
        subject: the person's id as clients know it, or its hash.
        actor: who asks for it.
        reason: why, in a sentence.
        workload_id: erase in this workload alone; default: in all.
        on_receipt: told of each store as it is done.

    Raises:
        RefusedError: subject, name or reason is empty.
        NotFoundError: no store holds anything of the person, or there is no such workload.
    """
    if not actor.strip() or not reason.strip():
        raise RefusedError("An erasure needs a name and a reason.", next_step="give both")
    plan_erasure(platform, subject, workload_id)
    person = _person(platform, subject, workload_id)
    return _erase(platform, person, actor.strip(), reason.strip(), on_receipt)


def erase_again(platform: "Platform", erasures: Iterable[Erasure]) -> list[ErasureReport]:
    """Apply erasures to a deployment that was restored from an older backup."""
    reports = []
    for one in erasures:
        person = find_person(platform.lake, tuple(one.subject_ids), None, one.workload_id)
        letters = {(str(t), int(p), int(o)) for t, p, o in one.dead_letters}
        person = replace(person, positions=person.positions | letters)
        reason = f"restored from a backup; asked for on {one.requested_at}: {one.reason}"
        reports.append(_erase(platform, person, one.requested_by, reason, lambda _: None))
    return reports


def _erase(
    platform: "Platform",
    person: Person,
    actor: str,
    reason: str,
    on_receipt: Callable[[Receipt], None],
) -> ErasureReport:
    now = platform.clock.now()
    if not _is_erased(platform, person):
        rows = [
            {
                "workload_id": person.workload_id,
                "subject_id": one,
                "requested_by": actor,
                "reason": reason,
                "requested_at": now,
            }
            for one in person.subject_ids
        ]
        platform.lake.append(
            "erasures", pa.Table.from_pylist(rows, schema=TABLES["erasures"].schema)
        )
    letters = dead_letters_of(platform, person)
    erasure = Erasure(
        person.subject_ids, person.workload_id, actor, reason, now.isoformat(), sorted(letters)
    )
    add_erasure(platform.home / ERASURES, erasure)
    report = _each_store(platform, person, change=True, on_receipt=on_receipt)
    with platform.state.transaction():
        details = {"workload": person.workload_id, "reason": reason, "complete": report.complete}
        platform.state.audit.append("erasure.done", f"erasure:{report.subject_id}", actor, details)
        for receipt in report.receipts:
            write_receipt(platform.state, report.subject_id, receipt, actor)
    return report


def _each_store(
    platform: "Platform",
    person: Person,
    *,
    change: bool,
    on_receipt: Callable[[Receipt], None] = lambda _: None,
) -> ErasureReport:
    receipts = []
    for name, store in STORES.items():
        try:
            receipt = store(platform, person, change=change)
        except FlywheelError as error:
            # One unavailable store does not keep texts in the others.
            again = f"not reached: {error.message} Run the erasure again."
            receipt = Receipt(name, "not reached", 0, [again], done=False)
        on_receipt(receipt)
        receipts.append(receipt)
    return ErasureReport(person.subject_ids[0], person.workload_id, tuple(receipts))


def _person(platform: "Platform", subject: str, workload_id: str | None) -> Person:
    if workload_id is not None:
        platform.workload(workload_id)
    key = platform.settings.hash_key.get_secret_value()
    ids, raw_id = subject_ids(subject, key, platform.lake)
    return find_person(platform.lake, ids, raw_id, workload_id)


def _is_erased(platform: "Platform", person: Person) -> bool:
    rows = platform.lake.rows(
        "SELECT subject_id, workload_id FROM stored.erasures WHERE list_contains(?, subject_id)",
        [list(person.subject_ids)],
    )
    erased = {row["subject_id"] for row in rows if row["workload_id"] in (None, person.workload_id)}
    return erased == set(person.subject_ids)

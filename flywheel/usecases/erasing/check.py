"""`erasure_checks`: whether what an erasure's receipts say is still so."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from flywheel.artifacts.snapshot import MANIFEST, content_of, open_snapshot
from flywheel.dataset.erasing import count_rows
from flywheel.errors import IntegrityError
from flywheel.usecases.backup_record import ERASURES
from flywheel.usecases.erasing.backups import read_erasures
from flywheel.usecases.erasing.person import Person, find_person
from flywheel.usecases.erasing.receipts import Receipt, read_receipts
from flywheel.usecases.erasing.stores import STORES, dead_letters_of, snapshot_folders

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["erasure_checks"]


def erasure_checks(platform: "Platform") -> dict[str, Callable[[], str]]:
    """Return one check per erased person, and one of the snapshots that lost rows."""
    rows = platform.lake.rows(
        "SELECT subject_id, workload_id, max(requested_at) AS at FROM stored.erasures GROUP BY ALL"
    )
    checks: dict[str, Callable[[], str]] = {}
    for row in sorted(rows, key=lambda row: (row["subject_id"], row["workload_id"] or "")):
        where = "" if row["workload_id"] is None else f" in {row['workload_id']}"
        name = f"erasure of {row['subject_id'][:12]}{where}"
        checks[name] = partial(_erasure, platform, row["subject_id"], row["workload_id"])
    if (platform.home / "datasets").is_dir() or platform.artifacts.names("datasets"):
        checks["rows erased from datasets"] = partial(_snapshots, platform)
    return checks


def _erasure(platform: "Platform", subject_id: str, workload_id: str | None) -> str:
    receipts = read_receipts(platform.state, subject_id)
    person = find_person(platform.lake, (subject_id,), None, workload_id)
    letters = {
        tuple(letter)
        for one in read_erasures(platform.home / ERASURES)
        if subject_id in one.subject_ids
        for letter in one.dead_letters
    }
    wrong = [*_unfinished(receipts), *_remnants(platform, person)]
    still = letters & dead_letters_of(platform, person)
    if still:
        wrong.append(f"{len(still)} dead letters are not empty")
    if wrong:
        raise IntegrityError(f"{'; '.join(wrong)}; run `flywheel erase {subject_id}` again")
    if not receipts:  # named in the table by hand, or by an earlier version
        return "hidden, without receipts: `flywheel erase` removes it from every store"
    arrived = sum(person.rows.values())
    later = f"; {arrived} rows came since, hidden, emptied by maintenance" if arrived else ""
    return f"{len(receipts)} receipts, nothing came back{later}"


def _unfinished(receipts: Mapping[str, tuple[object, Receipt]]) -> list[str]:
    if not receipts:
        return []
    missing = sorted(set(STORES) - set(receipts))
    problems = [f"no receipt of {name}" for name in missing]
    return problems + [
        f"{name} was not reached" for name, (_, one) in receipts.items() if not one.done
    ]


def _remnants(platform: "Platform", person: Person) -> list[str]:
    remnants = []
    for folder in snapshot_folders(platform, person):
        ids = person.calls.get(folder.parent.name, frozenset()) | person.corrections
        rows = count_rows(folder, ids)
        if rows and read_receipts(platform.state, person.subject_ids[0]):
            remnants.append(f"the dataset {folder.parent.name}/{folder.name[:12]} has {rows} rows")
    return remnants


def _published(platform: "Platform", content: Mapping[str, str]) -> list[str]:
    # What another machine reads must have lost the same rows.
    wrong = []
    for name in platform.artifacts.names("datasets"):
        manifest = json.loads(platform.artifacts.store.read(name, MANIFEST))
        one = name.removeprefix("datasets/")
        if content_of(manifest) != content.get(one, manifest["hash"]):
            wrong.append(f"{one[:40]} is published with other rows than its receipt tells")
    return wrong


def _snapshots(platform: "Platform") -> str:
    # The newest receipt that names a snapshot holds the hash of the rows that are left in it.
    content: dict[str, str] = {}
    for row in platform.state.audit.of():
        if row.event == "erasure.receipt" and row.details["store"] == "datasets":
            content |= row.details["evidence"].get("content", {})
    wrong, erased = [], 0
    for manifest in sorted((platform.home / "datasets").glob("*/[!.]*/manifest.json")):
        name = f"{manifest.parent.parent.name}/{manifest.parent.name}"
        snapshot = open_snapshot(manifest.parent)
        erased += bool(snapshot.erased)
        if snapshot.content != content.get(name, snapshot.hash):
            wrong.append(f"{name[:40]} lost rows of which no receipt tells")
    wrong += _published(platform, content)
    if wrong:
        raise IntegrityError("; ".join(wrong))
    return f"{erased} snapshots, as the receipts say"

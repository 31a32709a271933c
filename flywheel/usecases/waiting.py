"""`waiting_for_people`: what waits for a person, with the command.

Approvals, failed gates, reviews, adjudications, new categories, answers and queue files that were
set aside, dead letters, releases that learned from erased persons. What could not be looked at is
in the list too, with the error: an empty list means that nothing waits.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Literal

from flywheel.errors import FlywheelError
from flywheel.io.spelling import show_invisible

if TYPE_CHECKING:
    from flywheel.state import Cycle
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = [
    "WaitingItem",
    "WaitingKind",
    "waiting_cycle",
    "waiting_cycles",
    "waiting_for_people",
]

WaitingKind = Literal[
    "approval", "failed gate", "rolled back", "reviews", "adjudications", "new categories", "set aside",
    "dead letters", "erasure", "not checked",
]  # fmt: skip
# One query for all workloads: a page that is renewed every minute must not cost one each.
_ADJUDICATIONS = """
SELECT workload_id, count(*) AS n, min(chosen_at) AS since FROM review_items AS item
WHERE slice = 'adjudication' AND judgments > (
  SELECT count(DISTINCT annotator) FROM latest_annotations AS given
  WHERE given.item_id = item.item_id AND NOT given.deleted AND given.kind <> 'skipped')
GROUP BY workload_id ORDER BY workload_id
"""
_CATEGORIES = """
SELECT workload_id, proposed_label AS name, count(*) AS judgments FROM latest_corrections
WHERE status = 'proposed' GROUP BY ALL ORDER BY workload_id, judgments DESC, name
"""
_NAMED = 5
_PLATFORM = "platform"


@dataclass(frozen=True)
class WaitingItem:
    """One thing that waits; ``key`` stays the same while it is the same thing.

    ``count`` is how many there are of it, ``command`` what the person does next, ``since`` when it
    began where that is recorded.
    """

    kind: WaitingKind
    workload_id: str
    key: str
    text: str
    command: str
    count: int = 1
    since: datetime | None = None


def waiting_for_people(platform: "Platform") -> list[WaitingItem]:
    """List what waits for a person, of every workload and of the platform."""
    items: list[WaitingItem] = []
    workloads: dict[str, Workload] = {}
    try:
        workloads = platform.workloads
    except FlywheelError as error:
        items.append(_not_checked("workloads", _PLATFORM, error))
    for workload in workloads.values():
        items += waiting_cycles(platform.state.cycles.of(workload.id))
        items += _checked("reviews", workload.id, partial(_reviews, platform, workload))
    by_workload = (
        ("adjudications", _adjudications),
        ("new categories", _categories),
        ("erasure", _erasures),
    )
    for kind, find in by_workload:
        of_kind = _checked(kind, _PLATFORM, partial(find, platform))
        items += [item for item in of_kind if item.workload_id in {*workloads, _PLATFORM}]
    return items + _checked("dead letters", _PLATFORM, partial(_dead_letters, platform))


def waiting_cycles(cycles: "list[Cycle]") -> list[WaitingItem]:
    """Return what a workload's cycles wait for, oldest first."""
    from flywheel.state.cycle_order import last_changed

    newest = last_changed(cycles)
    items = [waiting_cycle(cycle, is_newest=cycle is newest) for cycle in cycles]
    return [item for item in items if item is not None]


def waiting_cycle(cycle: "Cycle", *, is_newest: bool) -> WaitingItem | None:
    """Return what a cycle waits for; None where it waits for nobody.

    A candidate waits for a verdict. A newest cycle that failed, or whose release was rolled back
    from shadow or canary, waits for a decision; an older one was answered by the next.
    """
    where, about = cycle.workload_id, f"{cycle.workload_id} {cycle.name}"

    def item(kind: WaitingKind, text: str, command: str) -> WaitingItem:
        key = f"{where}:{cycle.name}:{cycle.attempt}:{cycle.status}"
        return WaitingItem(kind, where, key, text, command, since=cycle.changed_at)

    if cycle.status in {"awaiting_approval", "expired"} and (cycle.is_open or is_newest):
        cause = "its approval expired" if cycle.status == "expired" else "it passed the gate"
        return item(
            "approval",
            f"the candidate of cycle {cycle.name} needs a verdict: {cause}",
            f"flywheel gate {about}, then flywheel approve {about} --as NAME --reason TEXT",
        )
    if cycle.status == "awaiting_judgments":
        return item(
            "reviews",
            f"the gate of cycle {cycle.name} is undecided: {cycle.status_reason}",
            f"flywheel review direct {about} --as NAME, then the judgments that it asks for",
        )
    if is_newest and cycle.status == "rolled_back":
        return item(
            "rolled back",
            f"cycle {cycle.name} released nothing: {cycle.status_reason}",
            f"flywheel release show {where}, then leave it to the next cycle or, where the release "
            f"was not to blame, flywheel release retry {about} --as NAME --reason TEXT",
        )
    if is_newest and cycle.status in {"gated_fail", "inconclusive", "stopped"}:
        status = cycle.status.replace("_", " ")
        return item(
            "failed gate",
            f"cycle {cycle.name} released nothing ({status}): {cycle.status_reason}",
            f"flywheel explain {about}, then flywheel cycle retry {about} --as NAME "
            "--reason TEXT, or leave it to the next cycle",
        )
    return None


def _reviews(platform: "Platform", workload: "Workload") -> Iterator[WaitingItem]:
    queue = platform.queue.status(workload)
    left = queue.judgments_wanted - queue.judgments_given
    if left > 0:
        yield WaitingItem(
            "reviews",
            workload.id,
            f"{workload.id}:reviews",
            f"{left} of {queue.judgments_wanted} judgments that were asked for are not given yet",
            _answering(platform, workload.id, "NAME"),
            count=left,
        )
    if queue.set_aside:
        # The same key while it is the same things, so that an alert is sent once.
        ids = "\n".join(sorted(one.id for one in queue.set_aside))
        first = queue.set_aside[0]
        author = f" by {first.author}" if first.author else ""
        yield WaitingItem(
            "set aside",
            workload.id,
            f"{workload.id}:set-aside:{hashlib.sha256(ids.encode()).hexdigest()[:12]}",
            f"{len(queue.set_aside)} answers or files of the review queue cannot be read; the "
            f"first: {show_invisible(f'{first.id}{author}: {first.reason}', limit=200)}",
            f"flywheel review status {workload.id}, then correct or delete them in the queue",
            count=len(queue.set_aside),
        )


def _adjudications(platform: "Platform") -> Iterator[WaitingItem]:
    for row in platform.lake.rows(_ADJUDICATIONS):
        yield WaitingItem(
            "adjudications",
            row["workload_id"],
            f"{row['workload_id']}:adjudications",
            f"{row['n']} disputed answers wait for a person who did not judge them before",
            _answering(platform, row["workload_id"], "ANOTHER"),
            count=row["n"],
            since=row["since"],
        )


def _answering(platform: "Platform", workload_id: str, name: str) -> str:
    if platform.settings.review_queue == "local":
        return f"flywheel review answer {workload_id} --as {name}"
    return f"open {platform.settings.label_studio_url}"


def _categories(platform: "Platform") -> Iterator[WaitingItem]:
    proposed: dict[str, dict[str, int]] = {}
    for row in platform.lake.rows(_CATEGORIES):
        proposed.setdefault(row["workload_id"], {})[row["name"]] = row["judgments"]
    for workload_id, names in proposed.items():
        listed = ", ".join(f"{name} ({count})" for name, count in list(names.items())[:_NAMED])
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield WaitingItem(
            "new categories",
            workload_id,
            f"{workload_id}:categories:{','.join(sorted(names))}",
            f"people ask for categories that do not exist: {listed}{more}",
            f"flywheel taxonomy add {workload_id} NAME",
            count=sum(names.values()),
        )


def _erasures(platform: "Platform") -> Iterator[WaitingItem]:
    from flywheel.usecases.erasing.receipts import trained_releases

    for one in trained_releases(platform.state):
        if one.waits:
            text = (
                f"{one.release} learned from {one.rows} rows of an erased person: retrain or accept"
            )
            command = (
                f"flywheel accept-erasure {one.workload_id} {one.release} --as NAME --reason TEXT"
            )
            key = f"erasure:{one.release}"
            yield WaitingItem("erasure", one.workload_id, key, text, command, one.rows)


def _dead_letters(platform: "Platform") -> Iterator[WaitingItem]:
    from flywheel.ingest.dead_letter_list import group_dead_letters

    reasons: Counter[str] = Counter()
    for group in group_dead_letters(platform.lake):
        reasons[group.reason] += group.count
    if reasons:
        total = sum(reasons.values())
        named = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        yield WaitingItem(
            "dead letters",
            _PLATFORM,
            "platform:dead-letters",
            f"{total} events broke the contract: {named}",
            "flywheel dlq groups, then flywheel dlq export FILE, and flywheel dlq replay --file FILE "
            "once it is repaired",
            count=total,
        )


def _checked(
    kind: str, workload_id: str, find: Callable[[], Iterator[WaitingItem]]
) -> list[WaitingItem]:
    # A service that is away hides nothing of what waits elsewhere.
    try:
        return list(find())
    except FlywheelError as error:
        return [_not_checked(kind, workload_id, error)]


def _not_checked(kind: str, workload_id: str, error: FlywheelError) -> WaitingItem:
    return WaitingItem(
        "not checked",
        workload_id,
        f"{workload_id}:{kind}:not-checked",
        f"{kind} could not be looked at: {error.message}",
        error.next_step or "flywheel doctor",
    )

"""`waiting_for_people`: what does not go on before a person has done something, with the command.

Approvals, failed gates, reviews, adjudications, new categories, dead letters. What could not be
looked at is in the list too, with the error: an empty list means that nothing waits.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from flywheel.errors import FlywheelError

if TYPE_CHECKING:
    from flywheel.state import Cycle
    from flywheel.wiring import Platform

__all__ = ["WaitingItem", "WaitingKind", "waiting_cycles", "waiting_for_people"]

WaitingKind = Literal[
    "approval", "failed gate", "reviews", "adjudications", "new categories", "dead letters",
    "not checked",
]  # fmt: skip
_ADJUDICATIONS = """
SELECT count(*) AS n, min(chosen_at) AS since FROM review_items AS item
WHERE workload_id = $workload AND slice = 'adjudication' AND judgments > (
  SELECT count(DISTINCT annotator) FROM latest_annotations AS given
  WHERE given.item_id = item.item_id AND NOT given.deleted AND given.kind <> 'skipped')
"""
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
    for workload_id in platform.workloads:
        items += waiting_cycles(platform.state.cycles(workload_id))
        for find in (_reviews, _adjudications, _categories):
            items += _checked(find, platform, workload_id)
    return items + _checked(_dead_letters, platform, _PLATFORM)


def waiting_cycles(cycles: "list[Cycle]") -> list[WaitingItem]:
    """Return what a workload's cycles wait for, oldest first.

    A candidate waits for a verdict. A newest cycle that failed waits for a decision; an older one
    was answered by the next.
    """
    items = []
    for cycle in cycles:
        where, about = cycle.workload_id, f"{cycle.workload_id} {cycle.name}"
        key = f"{where}:{cycle.name}:{cycle.attempt}:{cycle.status}"
        if cycle.status in {"awaiting_approval", "expired"} and (
            cycle.is_open or cycle is cycles[-1]
        ):
            why = "its approval expired" if cycle.status == "expired" else "it passed the gate"
            items.append(
                WaitingItem(
                    "approval",
                    where,
                    key,
                    f"the candidate of cycle {cycle.name} needs a verdict: {why}",
                    f"flywheel gate {about}, then flywheel approve {about} --as NAME --reason TEXT",
                    since=cycle.changed_at,
                )
            )
        elif cycle is cycles[-1] and cycle.status in {"gated_fail", "inconclusive", "stopped"}:
            status = cycle.status.replace("_", " ")
            items.append(
                WaitingItem(
                    "failed gate",
                    where,
                    key,
                    f"cycle {cycle.name} released nothing ({status}): {cycle.status_reason}",
                    f"flywheel explain {about}, then flywheel cycle retry {about} --as NAME "
                    "--reason TEXT, or leave it to the next cycle",
                    since=cycle.changed_at,
                )
            )
    return items


def _reviews(platform: "Platform", workload_id: str) -> Iterator[WaitingItem]:
    queue = platform.queue.status(platform.workload(workload_id))
    left = queue.judgments_wanted - queue.judgments_given
    if left > 0:
        local = platform.settings.review_queue == "local"
        yield WaitingItem(
            "reviews",
            workload_id,
            f"{workload_id}:reviews",
            f"{left} of {queue.judgments_wanted} judgments that were asked for are not given yet",
            f"flywheel review answer {workload_id} --as NAME"
            if local
            else f"open {platform.settings.label_studio_url}",
            count=left,
        )


def _adjudications(platform: "Platform", workload_id: str) -> Iterator[WaitingItem]:
    [row] = platform.lake.rows(_ADJUDICATIONS, {"workload": workload_id})
    if row["n"]:
        yield WaitingItem(
            "adjudications",
            workload_id,
            f"{workload_id}:adjudications",
            f"{row['n']} disputed answers wait for a person who did not judge them before",
            f"flywheel review answer {workload_id} --as ANOTHER"
            if platform.settings.review_queue == "local"
            else f"open {platform.settings.label_studio_url}",
            count=row["n"],
            since=row["since"],
        )


def _categories(platform: "Platform", workload_id: str) -> Iterator[WaitingItem]:
    from flywheel.turn.observe import proposed_labels  # noqa: PLC0415 - keeps loading quick

    proposed = proposed_labels(platform, platform.workload(workload_id))
    if proposed:
        names = ", ".join(f"{name} ({count})" for name, count in list(proposed.items())[:5])
        more = f" and {len(proposed) - 5} more" if len(proposed) > 5 else ""  # noqa: PLR2004
        yield WaitingItem(
            "new categories",
            workload_id,
            f"{workload_id}:categories:{','.join(sorted(proposed))}",
            f"people ask for categories that do not exist: {names}{more}",
            f"flywheel taxonomy add {workload_id} NAME",
            count=sum(proposed.values()),
        )


def _dead_letters(platform: "Platform", _: str) -> Iterator[WaitingItem]:
    from flywheel.ingest.deadletters import count_dead_letters  # noqa: PLC0415 - (as above)

    reasons = count_dead_letters(platform.lake)
    if reasons:
        total = sum(reasons.values())
        named = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
        yield WaitingItem(
            "dead letters",
            _PLATFORM,
            "platform:dead-letters",
            f"{total} events broke the contract: {named}",
            "flywheel dlq list, then flywheel dlq replay",
            count=total,
        )


def _checked(
    find: "Callable[[Platform, str], Iterator[WaitingItem]]",
    platform: "Platform",
    workload_id: str,
) -> list[WaitingItem]:
    # A service that is away hides nothing of what waits elsewhere.
    what = find.__name__.strip("_").replace("_", " ")
    try:
        return list(find(platform, workload_id))
    except FlywheelError as error:
        return [
            WaitingItem(
                "not checked",
                workload_id,
                f"{workload_id}:{what}:not-checked",
                f"{what} could not be looked at: {error.message}",
                error.next_step or "flywheel doctor",
            )
        ]

"""A gate that waits for judgments: its directed review is drawn, and its second look taken."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from flywheel.artifacts.actors import SYSTEM
from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.references import DirectedReview
from flywheel.errors import RefusedError
from flywheel.evaluate.second_look import FEWEST_CASES
from flywheel.usecases.cycle import dataset_of, judge_candidate

if TYPE_CHECKING:
    from flywheel.artifacts.dataset_rows import LabeledRow
    from flywheel.artifacts.gate_report import GateReport
    from flywheel.dataset.directed import DirectedCases
    from flywheel.review.sampling.directed import DirectedBatch
    from flywheel.state import Attempt
    from flywheel.wiring import Platform

__all__ = [
    "SecondLook",
    "close_expired_wait",
    "direct_review",
    "second_look",
    "second_look_rows",
    "second_looks",
    "take_second_look",
]


@dataclass(frozen=True)
class SecondLook:
    """What a gate that waits for judgments has and lacks.

    ``needed`` cases were named by its first look; ``asked`` were drawn, ``waiting`` of them are not
    judged, ``usable`` have an accepted answer. ``is_due`` says that the gate decides when it runs.
    """

    needed: int
    asked: int
    waiting: int
    usable: int
    until: datetime
    is_due: bool
    is_over: bool

    @property
    def sentence(self) -> str:
        """Say how far it is, and what comes next."""
        text = (
            f"{self.asked} of {self.needed} directed cases are asked, {self.waiting} wait for "
            f"people, {self.usable} can be used"
        )
        if self.is_due:
            return f"{text}: the gate can look a second time"
        if self.is_over:
            return f"{text}: too few until {self.until:%Y-%m-%d}, the gate stays undecided"
        return f"{text}; the gate waits until {self.until:%Y-%m-%d}"


def direct_review(platform: "Platform", cycle: CycleRef, *, actor: str = SYSTEM) -> "DirectedBatch":
    """Draw what a waiting gate still lacks, as far as the period's budget goes, and push it.

    A batch that an earlier call wrote and did not record is finished instead of drawing another.

    Args:
        platform: holds the cycle.
        cycle: whose gate waits.
        actor: the person who asks, or ``SYSTEM``.

    Raises:
        RefusedError: the cycle does not wait for judgments, every case it lacks is asked, or the
            name is empty.
    """
    from flywheel.artifacts.snapshot import read_rows
    from flywheel.review.sampling.directed import draw_directed

    actor = " ".join(actor.split())
    if not actor:
        raise RefusedError("A directed review needs your name.", next_step="give it: `--as mara`")
    attempt, look = _waiting(platform, cycle)
    recorded = attempt.directed.batches
    batches = _batches(platform, attempt)
    unfinished = next((name for name in batches if name not in recorded), None)
    if unfinished is None and (look.asked >= look.needed or look.is_over):
        raise RefusedError(
            f"Cycle {cycle.name} of {cycle.workload_id} lacks nothing that could be asked: {look.sentence}.",
            next_step="let people answer, then `flywheel review pull " + cycle.workload_id + "`",
        )
    train = read_rows(dataset_of(attempt).folder, "train")
    promoted = [
        r.promoted_at for r in platform.state.releases.of(cycle.workload_id) if r.promoted_at
    ]
    drawn = draw_directed(
        platform.lake,
        platform.queue,
        # Whose budget and seed are those of now: the cycle's snapshot may be older.
        platform.workload(cycle.workload_id),
        cycle=cycle,
        attempt=attempt.number,
        number=len(batches) + 1,
        cases=look.needed - look.asked,
        since=max(promoted, default=None),
        trained_texts=[str(row["input"]) for row in train],
        now=platform.clock.now(),
        written=unfinished,
    )
    if unfinished is not None:  # the look counts it already
        drawn = replace(drawn, missing=max(0, look.needed - look.asked))
    if drawn.items:
        _record_draw(platform, attempt, drawn, actor)
    return drawn


def second_look(platform: "Platform", cycle: CycleRef) -> SecondLook | None:
    """Say how far the directed review of a cycle is; None where the cycle waits for none."""
    current = platform.state.cycles.get(cycle)
    if current.status != "awaiting_judgments":
        return None
    attempt = platform.state.cycles.attempt(cycle, current.attempt)
    gate, cases = attempt.gate, _cases(platform, attempt)
    if gate is None or gate.cases_to_collect is None or gate.judgments_until is None:
        return None
    needed, until = gate.cases_to_collect, gate.judgments_until
    is_over = platform.clock.now() >= until
    # Looking at what is there when the time is up depends on the date alone, and not on what the
    # judgments say: the second look stays the one that was stated.
    complete = cases.asked >= needed and not cases.waiting
    is_due = len(cases.rows) >= FEWEST_CASES and (complete or is_over)
    usable = len(cases.rows)
    return SecondLook(needed, cases.asked, cases.waiting, usable, until, is_due, is_over)


def second_looks(platform: "Platform", workload_id: str) -> dict[str, SecondLook]:
    """Return how far the directed review of each waiting cycle is, by the cycle's name."""
    looks = {
        cycle.name: second_look(platform, cycle.ref)
        for cycle in platform.state.cycles.list_open(workload_id)
    }
    return {name: look for name, look in looks.items() if look is not None}


def second_look_rows(platform: "Platform", cycle: CycleRef) -> "list[LabeledRow] | None":
    """Return the directed cases of a gate whose second look is due; None where it is not."""
    look = second_look(platform, cycle)
    if look is None or not look.is_due:
        return None
    return _cases(platform, platform.state.cycles.attempt(cycle)).rows


def take_second_look(platform: "Platform", cycle: CycleRef) -> "GateReport":
    """Decide a gate whose judgments are in; the candidate is the one of the first look.

    Raises:
        RefusedError: the cycle waits for no judgments, or they are not in yet.
    """
    _, look = _waiting(platform, cycle)
    if not look.is_due:
        raise RefusedError(
            f"The second look of cycle {cycle.name} is not due: {look.sentence}.",
            next_step=f"`flywheel review direct {cycle.workload_id} {cycle.name} --as NAME` asks what is missing, "
            f"`flywheel review pull {cycle.workload_id}` takes answers in",
        )
    return judge_candidate(platform, cycle)


def close_expired_wait(platform: "Platform", workload_id: str) -> str | None:
    """Close a cycle that waited for judgments in vain, and return its name; None where none did."""
    for cycle in platform.state.cycles.list_open(workload_id):
        look = second_look(platform, cycle.ref)
        if look is not None and look.is_over and not look.is_due:
            reason = f"the judgments that would decide did not come: {look.sentence}"
            platform.state.cycles.set_status(cycle.ref, "inconclusive", reason)
            return cycle.name
    return None


def _waiting(platform: "Platform", cycle: CycleRef) -> "tuple[Attempt, SecondLook]":
    look = second_look(platform, cycle)
    if look is None:
        current = platform.state.cycles.get(cycle)
        raise RefusedError(
            f"Cycle {cycle.name} of {cycle.workload_id} is {current.status}: its gate waits for no judgments.",
            next_step=f"see `flywheel explain {cycle.workload_id} {cycle.name}`",
        )
    return platform.state.cycles.attempt(cycle), look


def _batches(platform: "Platform", attempt: "Attempt") -> list[str]:
    # The lake knows a batch before the attempt does: a call may end in between.
    from flywheel.review.sampling.directed import directed_batches

    recorded = attempt.directed.batches
    written = directed_batches(platform.lake, attempt.cycle_ref, attempt.number)
    return [*recorded, *(name for name in written if name not in recorded)]


def _cases(platform: "Platform", attempt: "Attempt") -> "DirectedCases":
    from flywheel.dataset.directed import directed_cases

    return directed_cases(
        platform.lake,
        platform.state.cycles.get(attempt.cycle_ref).opened,
        _batches(platform, attempt),
        hash_key=platform.settings.hash_key.get_secret_value(),
    )


def _record_draw(
    platform: "Platform",
    attempt: "Attempt",
    drawn: "DirectedBatch",
    actor: str,
) -> None:
    state = platform.state
    details = {
        "batch": drawn.batch_id,
        "items": drawn.items,
        "drawn_from": drawn.frame,
        "left_out_as_trained_on": drawn.trained_on,
        "missing": drawn.missing,
        "attempt": attempt.number,
    }
    with state.transaction():
        current = state.cycles.attempt(attempt.cycle_ref, attempt.number)
        if drawn.batch_id in current.directed.batches:
            return  # another process drew and recorded the same batch
        directed = DirectedReview((*current.directed.batches, drawn.batch_id))
        state.attempts.record(attempt.cycle_ref, attempt.number, directed)
        state.audit.append("review.directed", str(attempt.cycle_ref), actor, details)

"""Which answers people are asked about: a pure policy, seeded by workload and batch.

The control slice is drawn first and by a hash alone, so that its figure is unbiased; the rest of
the budget goes where a correction teaches most. Reading, writing and pushing are left to `batches`.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from flywheel.ports.review_queue import ReviewItem, ReviewSlice
from flywheel.review.sampling.budget import drawn_part, items_for, part_of
from flywheel.review.sampling.candidates import Candidate
from flywheel.review.sampling.item_ids import new_item_id
from flywheel.review.sampling.search import Pick, Search
from flywheel.workload.model import Workload

__all__ = ["blind_priority", "choose_items", "draw"]

_PRIORITY: dict[ReviewSlice, float] = {"flagged": 2, "novel": 1, "uncertain": 1}
_BLIND = 3
_BLIND_SLICES: frozenset[ReviewSlice] = frozenset({"control", "disagreement"})


def draw(*parts: object) -> float:
    """Return a number in [0, 1) that depends on ``parts`` alone."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest()) / 2**56


def blind_priority(workload_id: str, batch_id: str, inference_id: str) -> float:
    """Return the place of what is asked blind: before all else, and mixed.

    It does not reveal whether the item is a control or a gold item.
    """
    return round(_BLIND + draw(workload_id, batch_id, "order", inference_id) * 0.99, 4)


def choose_items(  # noqa: PLR0913 - what a batch rests on
    workload: Workload,
    candidates: Sequence[Candidate],
    *,
    budget: int,
    batch_id: str,
    period: str,
    seed: int,
    now: datetime,
    known_texts: Sequence[str] = (),
    frame: int | None = None,
    disagreements: Collection[str] = (),
) -> list[ReviewItem]:
    """Choose the items of a batch, most urgent first; their judgments never exceed the budget.

    Args:
        workload: its review policy decides.
        candidates: answers never sent before, in any order.
        budget: judgments this batch may cost, second judgments and adjudication included. What
            second judgments are worth is seen when the first ones are given: most of them are left
            unspent for `second_judgments`.
        batch_id: name of the batch; another batch draws another control slice.
        period: the period that pays.
        seed: of every random choice.
        now: stamped on the items.
        known_texts: inputs judged or asked about before; what nearly repeats one is not asked.
        frame: answers that the control slice is drawn from, where ``candidates`` holds only a part of
            them: all that it can draw. None: those of the candidates that lie in the window.
        disagreements: ids of answers that a release in shadow answers otherwise: up to half of what
            the control slice leaves goes to them, asked blind and first. The control slice is drawn
            before, and does not know them.
    """
    ordered = sorted(candidates, key=lambda candidate: candidate.inference_id)
    batch = _Batch(workload, batch_id, period, seed)
    total, twice = items_for(max(0, budget), workload.review.overlap, batch.chance_of("overlap"))
    picks = batch.control(ordered, total, frame)
    rest = total - len(picks)
    if rest > 0:
        picked_ids = {pick.candidate.inference_id for pick in picks}
        open_ = [
            candidate
            for candidate in ordered
            if candidate.inference_id not in picked_ids
            and (candidate.searchable or candidate.flag is not None)
        ]
        picked_texts = [pick.candidate.input for pick in picks]
        search = Search(workload, open_, [*known_texts, *picked_texts], batch.strategy_seed)
        order = {name: batch.draw("disagreement", name) for name in disagreements}
        picks += search.fill(rest, batch.chance_of("shares"), order)
    if len(picks) < total:  # thin traffic: what is judged twice is a share of it
        twice = min(twice, part_of(len(picks), workload.review.overlap, batch.chance_of("overlap")))
    drawn = drawn_part(
        twice,
        overlap=workload.review.overlap,
        random_share=workload.review.overlap_random,
        chance=batch.chance_of("overlap drawn"),
    )
    return batch.items(picks, drawn, now)


@dataclass(frozen=True)
class _Batch:
    # What is drawn by hash: the control slice, the overlap and the items' names.
    workload: Workload
    batch_id: str
    period: str
    seed: int

    def draw(self, purpose: str, inference_id: str) -> float:
        return draw(self.seed, self.workload.id, self.batch_id, purpose, inference_id)

    def chance_of(self, purpose: str) -> float:
        return draw(self.seed, self.workload.id, self.batch_id, purpose)

    @property
    def strategy_seed(self) -> int:
        return int(draw(self.seed, self.workload.id, self.batch_id, "strategy") * 2**32)

    def control(self, candidates: Sequence[Candidate], total: int, frame: int | None) -> list[Pick]:
        # The k smallest hashes of N. k is the exact share, rounded up or down by a draw of its own
        # whose expectation it is: every answer of the window has the same chance share / N, also
        # in a window from which none is drawn, and a judgment a day is not all control.
        window = [candidate for candidate in candidates if candidate.in_window]
        share = self.workload.review.control_share
        if not window or not total or not share:
            return []
        # Where traffic is thin, the share is one of the traffic: the rest is there to learn from.
        frame = len(window) if frame is None else frame
        most = min(total, frame)
        size = part_of(most, share, self.chance_of("control size"))
        drawn = sorted((self.draw("control", c.inference_id), c.inference_id, c) for c in window)
        reason = f"drawn at random: {size} of {frame} answers"
        return [
            Pick(candidate, "control", reason, score, most * share / frame)
            for score, _, candidate in drawn[:size]
        ]

    def items(self, picks: Sequence[Pick], doubled: int, now: datetime) -> list[ReviewItem]:
        drawn = sorted(
            (self.draw("overlap", p.candidate.inference_id), n) for n, p in enumerate(picks)
        )
        twice = {n for _, n in drawn[:doubled]}
        items = [self._item(pick, 2 if n in twice else 1, now) for n, pick in enumerate(picks)]
        return sorted(items, key=lambda item: (-item.priority, item.item_id))

    def _item(self, pick: Pick, judgments: int, now: datetime) -> ReviewItem:
        chosen = pick.candidate
        is_blind = pick.slice in _BLIND_SLICES
        if is_blind:
            priority = blind_priority(self.workload.id, self.batch_id, chosen.inference_id)
        else:
            priority = round(_PRIORITY[pick.slice] + pick.score * 0.99, 4)
        return ReviewItem(
            item_id=new_item_id(self.workload.id, self.batch_id, chosen.inference_id),
            batch_id=self.batch_id,
            workload_id=self.workload.id,
            inference_id=chosen.inference_id,
            slice=pick.slice,
            reason=pick.reason,
            score=round(pick.score, 4),
            inclusion_probability=pick.probability,
            input=chosen.input,
            model_output=None if is_blind else chosen.output,
            confidence=chosen.confidence,
            release=chosen.release,
            judgments=judgments,
            priority=priority,
            subject_id=chosen.subject_id,
            chosen_at=now,
            period=self.period,
        )

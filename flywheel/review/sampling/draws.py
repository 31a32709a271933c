"""Which answers people are asked about: a pure policy, seeded by workload and batch.

The control slice is drawn first and by a hash alone, so that its figure is unbiased; the rest of
the budget goes where a correction teaches most. Reading, writing and pushing are left to `batches`.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from math import ceil

import numpy as np

from flywheel.ports.review_queue import ReviewItem, ReviewSlice
from flywheel.review.sampling.budget import drawn_part, items_for, part_of, split
from flywheel.review.sampling.candidates import Candidate
from flywheel.review.sampling.item_ids import new_item_id
from flywheel.review.sampling.novelty import find_novel
from flywheel.review.sampling.strategies import STRATEGIES, Answers, margin_between
from flywheel.similarity.near_duplicates import NearDuplicates
from flywheel.similarity.normal_form import normalize
from flywheel.similarity.sentence_vectors import encode_sentences
from flywheel.workload.model import Workload

__all__ = ["blind_priority", "choose_items", "draw"]

_ORDER: tuple[ReviewSlice, ...] = ("flagged", "novel", "uncertain")
_PRIORITY: dict[ReviewSlice, float] = {"flagged": 2, "novel": 1, "uncertain": 1}
_BLIND = 3
_BLIND_SLICES: frozenset[ReviewSlice] = frozenset({"control", "disagreement"})
# While a release is in shadow, the other half goes on being learned from.
_DISAGREEMENT_SHARE = 0.5
_DIFFERENT = "a release in shadow gave another answer"


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
        search = _Search(workload, open_, [*known_texts, *picked_texts], batch.strategy_seed)
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
class _Pick:
    candidate: Candidate
    slice: ReviewSlice
    reason: str
    score: float
    probability: float | None = None


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

    def control(
        self, candidates: Sequence[Candidate], total: int, frame: int | None
    ) -> list[_Pick]:
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
            _Pick(candidate, "control", reason, score, most * share / frame)
            for score, _, candidate in drawn[:size]
        ]

    def items(self, picks: Sequence[_Pick], doubled: int, now: datetime) -> list[ReviewItem]:
        drawn = sorted(
            (self.draw("overlap", p.candidate.inference_id), n) for n, p in enumerate(picks)
        )
        twice = {n for _, n in drawn[:doubled]}
        items = [self._item(pick, 2 if n in twice else 1, now) for n, pick in enumerate(picks)]
        return sorted(items, key=lambda item: (-item.priority, item.item_id))

    def _item(self, pick: _Pick, judgments: int, now: datetime) -> ReviewItem:
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


@dataclass(frozen=True)
class _Unsure:
    # An answer below the limit, and how many such answers there are to the same text.
    number: int
    confidence: float
    margin: float | None
    times: int


@dataclass
class _Search:
    # The slices that look for something. Each is a stream of picks; they share what was taken.
    workload: Workload
    candidates: Sequence[Candidate]
    known: Sequence[str]
    seed: int
    taken: set[int] = field(default_factory=set)

    def fill(self, total: int, chance: float, disagreements: Mapping[str, float]) -> list[_Pick]:
        self._vectors = encode_sentences([candidate.input for candidate in self.candidates])
        self._seen = NearDuplicates(
            self.workload.review.near_duplicate,
            ((str(n), text) for n, text in enumerate(self.known)),
        )
        shares = self.workload.review.shares
        weights = {"flagged": shares.flagged, "novel": shares.novel, "uncertain": shares.uncertain}
        streams = {
            "flagged": self._flagged(),
            "novel": self._novel(),
            "uncertain": self._uncertain(total),
        }
        differing = self._differing(disagreements)
        picks = list(islice(differing, ceil(total * _DISAGREEMENT_SHARE)))
        targets = split(total - len(picks), weights, chance)
        for name in _ORDER:
            picks += islice(streams[name], targets[name])
        for name in reversed(_ORDER):  # a share that could not be filled goes to the others
            if weights[name]:
                picks += islice(streams[name], total - len(picks))
        picks += islice(differing, total - len(picks))
        return [self._as_disagreement(pick, disagreements) for pick in picks]

    def _differing(self, disagreements: Mapping[str, float]) -> Iterator[_Pick]:
        # In an order of their own hash: what people judge of them is a sample of the disagreements.
        order = sorted(
            (disagreements[c.inference_id], number)
            for number, c in enumerate(self.candidates)
            if c.inference_id in disagreements and c.searchable
        )
        for score, number in order:
            if self._take(number):
                yield _Pick(self.candidates[number], "disagreement", _DIFFERENT, score)

    def _as_disagreement(self, pick: _Pick, disagreements: Mapping[str, float]) -> _Pick:
        # One that was chosen for something else is asked blind as well.
        score = disagreements.get(pick.candidate.inference_id)
        if score is None:
            return pick
        return _Pick(pick.candidate, "disagreement", _DIFFERENT, score)

    def _flagged(self) -> Iterator[_Pick]:
        # The gravest first, and of equally grave ones the newest.
        order = sorted(
            (-c.flag[1], -(c.flagged_at or c.event_time).timestamp(), n, c.flag[0])
            for n, c in enumerate(self.candidates)
            if c.flag is not None
        )
        for weight, _, number, reason in order:
            if self._take(number):
                yield _Pick(self.candidates[number], "flagged", reason, -weight)

    def _uncertain(self, total: int) -> Iterator[_Pick]:
        limit = self.workload.review.confidence
        # The other slices have taken theirs when the first of these is asked for.
        open_ = [one for one in self._unsure(limit) if one.number not in self.taken]
        answers = Answers(
            confidence=np.array([one.confidence for one in open_]),
            margin=np.array([margin_between(one.confidence, one.margin) for one in open_]),
            vectors=self._vectors[[one.number for one in open_]],
            times=np.array([one.times for one in open_], dtype=np.float64),
        )
        strategy = STRATEGIES[self.workload.review.strategy]
        for place in strategy(answers, total - len(self.taken), self.seed):
            one = open_[place]
            if self._take(one.number):
                reason = f"confidence {one.confidence:.2f} below {limit:.2f}"
                if one.margin is not None:
                    reason += f", {one.margin:.2f} ahead of the second best answer"
                doubt = 1 - float(answers.margin[place])
                yield _Pick(self.candidates[one.number], "uncertain", reason, doubt)

    def _unsure(self, limit: float) -> list[_Unsure]:
        # Of equal texts one is asked about: the least sure answer, for all of them.
        by_text: dict[str, list[tuple[float, int, float | None]]] = defaultdict(list)
        for number, candidate in enumerate(self.candidates):
            confidence = candidate.confidence
            if candidate.searchable and confidence is not None and confidence < limit:
                by_text[normalize(candidate.input)].append((confidence, number, candidate.margin))
        least_sure = (min(same, key=lambda one: one[:2]) for same in by_text.values())
        return [
            _Unsure(number, confidence, margin, self._times(same))
            for (confidence, number, margin), same in zip(least_sure, by_text.values(), strict=True)
        ]

    def _times(self, same: Sequence[tuple[float, int, float | None]]) -> int:
        # One of a thinned window stands for answers that are not here.
        return max(len(same), *(self.candidates[number].times for _, number, _ in same))

    def _novel(self) -> Iterator[_Pick]:
        # Of a text that is here for a complaint alone, nothing is learned about the present model.
        searchable = [n for n, c in enumerate(self.candidates) if c.searchable]
        vectors = self._vectors[searchable]
        for text in find_novel(vectors, encode_sentences(self.known)):
            number = searchable[text.number]
            if self._take(number):
                reason = (
                    f"far from everything known: similarity {text.similarity:.2f}, "
                    f"{text.group} texts alike"
                )
                score = min(1.0, 1 - text.similarity)
                yield _Pick(self.candidates[number], "novel", reason, score)

    def _take(self, number: int) -> bool:
        text = self.candidates[number].input
        if number in self.taken or self._seen.find(text) is not None:
            return False
        self.taken.add(number)
        self._seen.add(self.candidates[number].inference_id, text)
        return True

"""`Search`: the slices of a batch that look for something, such as doubt or novelty."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import ceil

import numpy as np

from flywheel.ports.review_queue import ReviewSlice
from flywheel.review.sampling.budget import split
from flywheel.review.sampling.candidates import Candidate
from flywheel.review.sampling.novelty import find_novel
from flywheel.review.sampling.strategies import STRATEGIES, Answers, margin_between
from flywheel.similarity.near_duplicates import NearDuplicates
from flywheel.similarity.normal_form import normalize
from flywheel.similarity.sentence_vectors import encode_sentences
from flywheel.workload.model import Workload

__all__ = ["Pick", "Search"]

_ORDER: tuple[ReviewSlice, ...] = ("flagged", "novel", "uncertain")
# While a release is in shadow, the other half goes on being learned from.
_DISAGREEMENT_SHARE = 0.5
_DIFFERENT = "a release in shadow gave another answer"


@dataclass(frozen=True)
class Pick:
    """A candidate that is to be asked about, in which slice, and why; ``score`` orders a slice."""

    candidate: Candidate
    slice: ReviewSlice
    reason: str
    score: float
    probability: float | None = None


@dataclass(frozen=True)
class _Unsure:
    # An answer below the limit, and how many such answers there are to the same text.
    number: int
    confidence: float
    margin: float | None
    times: int


@dataclass
class Search:
    """Each slice is a stream of picks; they share what was taken.

    ``known`` are texts that were asked about or learned from; ``taken`` numbers of candidates.
    """

    workload: Workload
    candidates: Sequence[Candidate]
    known: Sequence[str]
    seed: int
    taken: set[int] = field(default_factory=set)

    def fill(self, total: int, chance: float, disagreements: Mapping[str, float]) -> list[Pick]:
        """Take up to ``total`` picks, by the shares of the policy; ``chance`` rounds the shares.

        ``disagreements`` are candidates on which a release in shadow differs, with their order.
        """
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

    def _differing(self, disagreements: Mapping[str, float]) -> Iterator[Pick]:
        # In an order of their own hash: what people judge of them is a sample of the disagreements.
        order = sorted(
            (disagreements[c.inference_id], number)
            for number, c in enumerate(self.candidates)
            if c.inference_id in disagreements and c.searchable
        )
        for score, number in order:
            if self._take(number):
                yield Pick(self.candidates[number], "disagreement", _DIFFERENT, score)

    def _as_disagreement(self, pick: Pick, disagreements: Mapping[str, float]) -> Pick:
        # One that was chosen for something else is asked blind as well.
        score = disagreements.get(pick.candidate.inference_id)
        if score is None:
            return pick
        return Pick(pick.candidate, "disagreement", _DIFFERENT, score)

    def _flagged(self) -> Iterator[Pick]:
        # The gravest first, and of equally grave ones the newest.
        order = sorted(
            (-c.flag[1], -(c.flagged_at or c.event_time).timestamp(), n, c.flag[0])
            for n, c in enumerate(self.candidates)
            if c.flag is not None
        )
        for weight, _, number, reason in order:
            if self._take(number):
                yield Pick(self.candidates[number], "flagged", reason, -weight)

    def _uncertain(self, total: int) -> Iterator[Pick]:
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
                yield Pick(self.candidates[one.number], "uncertain", reason, doubt)

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

    def _novel(self) -> Iterator[Pick]:
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
                yield Pick(self.candidates[number], "novel", reason, score)

    def _take(self, number: int) -> bool:
        text = self.candidates[number].input
        if number in self.taken or self._seen.find(text) is not None:
            return False
        self.taken.add(number)
        self._seen.add(self.candidates[number].inference_id, text)
        return True

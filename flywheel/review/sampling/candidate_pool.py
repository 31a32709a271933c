"""`read_pool`: the candidates that a batch can be made of, however many answers a window has.

A small window is read whole. Of a large one a few figures of each answer are read, and with its text
only what a batch can be made of: the answers that the control slice draws, those people complained
about most, the most doubtful answer to each of the most doubtful texts, and as many drawn at random in
which to look for what is new. The control slice is the same that it would be of all.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nsmallest

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from flywheel.quality.calibration import Calibration
from flywheel.review.sampling.candidate_query import CandidateQuery
from flywheel.review.sampling.candidates import Candidate, read_candidates
from flywheel.review.sampling.draws import draw
from flywheel.review.sampling.strategies import (
    calibrated_margin,
    calibrated_margins,
    margins_between,
)
from flywheel.review.sampling.windows import ReviewWindow
from flywheel.workload.model import Workload
from flywheel.workload.sections import StrategyName

__all__ = ["CandidatePool", "PoolFigures", "choose_pool", "read_pool", "whole_pool"]

Numbers = npt.NDArray[np.float64]
_Flags = npt.NDArray[np.bool_]
# Up to here every answer is read; a choice from more is made from so many of each kind.
_WHOLE = 20_000
_OF_EACH = 8_000
# A batch of many questions has more to choose from: as many times its judgments.
_A_JUDGMENT = 10


@dataclass(frozen=True)
class CandidatePool:
    """What a batch is chosen from.

    Attributes:
        candidates: answers with their texts, confidence and margin calibrated.
        frame: how many answers the control slice is drawn from.
        total: how many answers the window may ask about.
        by_release: answers of the frame by release.
    """

    candidates: Sequence[Candidate]
    frame: int
    total: int
    by_release: Mapping[str | None, int]


@dataclass(frozen=True)
class PoolFigures:
    """One row an answer: ids, calibrated figures (NaN: not reported), place and text.

    ``draws`` are those of the control slice; equal ``texts`` are one text.
    """

    ids: Sequence[str]
    confidence: Numbers
    margin: Numbers
    in_window: _Flags
    searchable: _Flags
    draws: Numbers
    texts: npt.NDArray[np.uint64]


def read_pool(
    query: CandidateQuery,
    workload: Workload,
    calibrations: Mapping[str, Calibration],
    answering: Collection[str] | None,
    *,
    disagreements: Collection[str] = (),
) -> CandidatePool:
    """Read what a batch of the query's window can be made of.

    Args:
        query: the window and its answers.
        workload: its review policy and seed decide.
        calibrations: by release.
        answering: releases that answer now; see `read_candidates`.
        disagreements: answers that a release in shadow answers otherwise, see `choose_items`.
    """
    review = workload.review
    if query.most() > _WHOLE:
        rows = query.figures()
        figures = _figures(rows, query, workload, calibrations, answering)
        if len(figures.ids) > _WHOLE:
            chosen = choose_pool(
                figures,
                limit=review.confidence,
                strategy=review.strategy,
                budget=query.window.budget,
            )
            chosen = _first_of(disagreements, workload, query.window) | chosen
            candidates = read_candidates(
                query,
                answering=answering,
                complaints_expire=review.complaints_expire,
                ids={*chosen, *query.complained},
            )
            return _thinned(candidates, chosen, figures, rows, calibrations, query.window.budget)
    candidates = read_candidates(
        query, answering=answering, complaints_expire=review.complaints_expire
    )
    return whole_pool([_calibrated(candidate, calibrations) for candidate in candidates])


def whole_pool(candidates: Sequence[Candidate]) -> CandidatePool:
    """Return the pool that leaves nothing out."""
    frame = [candidate.release for candidate in candidates if candidate.in_window]
    return CandidatePool(candidates, len(frame), len(candidates), Counter(frame))


def choose_pool(
    figures: PoolFigures, *, limit: float, strategy: StrategyName, budget: int
) -> dict[str, int]:
    """Choose the answers that are read with their texts.

    Args:
        figures: of every answer of a window.
        limit: an answer below this confidence is unsure.
        strategy: orders unsure answers.
        budget: judgments that the batch may ask for.

    Returns:
        Their ids, each with the number of unsure answers to the same text that it stands for.
    """
    of_each = _most_of_each(budget)
    with np.errstate(invalid="ignore"):
        is_unsure = figures.searchable & (figures.confidence < limit)
    unsure, times = _least_sure(figures, np.flatnonzero(is_unsure))
    order = np.argsort(_rank(figures, unsure, times, strategy), kind="stable")[:of_each]
    chosen = {
        figures.ids[row]: 1
        for members, most in ((figures.in_window, budget), (figures.searchable, of_each))
        for row in _smallest(figures.draws, members, most)
    }
    return chosen | {figures.ids[unsure[n]]: int(times[n]) for n in order}


def _smallest(draws: Numbers, is_member: _Flags, most: int) -> npt.NDArray[np.intp]:
    members = np.flatnonzero(is_member)
    if most <= 0 or len(members) <= most:
        return members[: max(0, most)]
    last = float(np.partition(draws[members], most - 1)[most - 1])
    # Whoever draws the same as the last is there too.
    return np.asarray(members[draws[members] <= last])


def _least_sure(
    figures: PoolFigures, rows: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]:
    # Of each text the least sure answer, and how many unsure answers the text has.
    order = rows[np.lexsort((figures.confidence[rows], figures.texts[rows]))]
    _, first, times = np.unique(figures.texts[order], return_index=True, return_counts=True)
    return order[first], times


def _rank(
    figures: PoolFigures,
    rows: npt.NDArray[np.intp],
    times: npt.NDArray[np.int64],
    strategy: StrategyName,
) -> Numbers:
    confidence = figures.confidence[rows]
    margin = margins_between(confidence, figures.margin[rows])
    ranks: dict[StrategyName, Numbers] = {
        "cluster_margin": -(1 - margin) * np.sqrt(times),
        "smallest_margin": margin,
        "least_confident": confidence,
        "random": figures.draws[rows],
    }
    return ranks[strategy]


def _figures(
    rows: pa.Table,
    query: CandidateQuery,
    workload: Workload,
    calibrations: Mapping[str, Calibration],
    answering: Collection[str] | None,
) -> PoolFigures:
    encoded = rows["release"].fill_null("").combine_chunks().dictionary_encode()
    names: list[str] = encoded.dictionary.to_pylist()
    releases = np.asarray(encoded.indices.to_numpy())
    in_window = np.asarray(rows["in_window"].to_numpy())
    # An imported log may not say which release answered.
    current = [answering is None or not name or name in answering for name in names]
    is_current = np.array(current, dtype=bool)[releases]
    is_member = in_window | is_current
    rows, releases = rows.filter(pa.array(is_member)), releases[is_member]
    confidence = np.asarray(rows["confidence"].to_numpy(), dtype=np.float64)
    margin = np.asarray(rows["margin"].to_numpy(), dtype=np.float64)
    for number, name in enumerate(names):
        calibration = calibrations.get(name)
        if calibration is not None:
            of_release = (releases == number) & ~np.isnan(confidence)
            raw, former = confidence[of_release], margin[of_release]
            confidence[of_release] = calibration.chances(raw)
            margin[of_release] = calibrated_margins(raw, former, confidence[of_release])
    ids: list[str] = rows["inference_id"].to_pylist()
    parts = (workload.seed, workload.id, query.window.batch_id, "control")
    return PoolFigures(
        ids=ids,
        confidence=confidence,
        margin=margin,
        in_window=in_window[is_member],
        searchable=is_current[is_member],
        draws=np.fromiter((draw(*parts, one) for one in ids), np.float64, len(ids)),
        texts=np.asarray(rows["text"].to_numpy(), dtype=np.uint64),
    )


def _thinned(
    candidates: Sequence[Candidate],
    chosen: Mapping[str, int],
    figures: PoolFigures,
    rows: pa.Table,
    calibrations: Mapping[str, Calibration],
    budget: int,
) -> CandidatePool:
    flagged = [candidate for candidate in candidates if candidate.flag is not None]
    gravest = nsmallest(_most_of_each(budget), flagged, key=_gravity)
    read = {one.inference_id for one in gravest} | chosen.keys()
    pooled = [
        replace(_calibrated(one, calibrations), times=chosen.get(one.inference_id, 1))
        for one in candidates
        if one.inference_id in read
    ]
    counts = rows.filter(rows["in_window"])["release"].value_counts().to_pylist()
    by_release = {count["values"]: int(count["counts"]) for count in counts}
    others = sum(not one.in_window and not one.searchable for one in flagged)
    return CandidatePool(pooled, sum(by_release.values()), len(figures.ids) + others, by_release)


def _first_of(
    disagreements: Collection[str], workload: Workload, window: ReviewWindow
) -> dict[str, int]:
    # In the order in which `choose_items` asks about them.
    def place(inference_id: str) -> float:
        return draw(workload.seed, workload.id, window.batch_id, "disagreement", inference_id)

    most = _most_of_each(window.budget)
    return dict.fromkeys(nsmallest(most, disagreements, key=place), 1)


def _most_of_each(budget: int) -> int:
    return max(_OF_EACH, _A_JUDGMENT * budget)


def _gravity(candidate: Candidate) -> tuple[float, float, str]:
    # As `choose_items` orders complaints: the gravest first, of equally grave ones the newest.
    weight = candidate.flag[1] if candidate.flag else 0.0
    moment = candidate.flagged_at or candidate.event_time
    return -weight, -moment.timestamp(), candidate.inference_id


def _calibrated(candidate: Candidate, calibrations: Mapping[str, Calibration]) -> Candidate:
    calibration = calibrations.get(candidate.release)
    if calibration is None or candidate.confidence is None:
        return candidate
    calibrated = calibration(candidate.confidence)
    margin = calibrated_margin(candidate.confidence, candidate.margin, calibrated)
    return replace(candidate, confidence=calibrated, margin=margin)

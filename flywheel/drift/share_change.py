"""`largest_share_change` and `risen_words_change`: effects that do not depend on the traffic's size.

A distance between histograms shrinks with the number of events, so that a fixed threshold on it
means another thing at every volume. A share of texts or answers does not: each is first tested
against chance, then compared with what the owner says counts.
"""

from collections.abc import Sequence
from math import hypot, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from flywheel.drift.report import ShareChange
from flywheel.drift.word_chance import DEALS, TextSample
from flywheel.quality.intervals import wilson_interval

__all__ = ["MARGIN", "largest_excess", "largest_share_change", "risen_words_change"]

# Of 63 weeks of simulated traffic without drift (175 events each), three passed chance by this
# margin, never two in a row.
MARGIN = 1.1
_SIGNIFICANCE = 0.01
_FEWEST_PARTS = 3
# A word has risen when its share has at least doubled beyond chance (likelihood ratio G², Dunning
# 1993, 15: one word in ten thousand), or when it stands in some texts and the reference has none.
_RATIO, _LIFT, _FEWEST_NEW = 15.0, 2.0, 4

Vector = NDArray[np.float64]


def largest_share_change(
    names: Sequence[str],
    before: Vector,
    now: Vector,
    parts: Sequence[Vector],
    *,
    threshold: float,
) -> ShareChange:
    """Return the category whose share moved most, among those that moved beyond chance if any did.

    Chance is what a two-sided test at 1 % over all categories together allows. Its spread is that
    of a draw, widened by what the parts of the reference vary more than draws do.

    Args:
        names: of the categories, as the vectors count them.
        before: counts of the reference.
        now: counts of the window.
        parts: counts of the runs of days that ``before`` is the sum of.
        threshold: the change of a share that counts.
    """
    sizes = before.sum(), now.sum()
    old, new = before / sizes[0], now / sizes[1]
    pooled = (before + now) / (sizes[0] + sizes[1])
    spread = np.sqrt(pooled * (1 - pooled) * (1 / sizes[0] + 1 / sizes[1]))
    z = NormalDist().inv_cdf(1 - _SIGNIFICANCE / 2 / max(len(names), 1))
    chance = MARGIN * z * spread * _overdispersion(parts)
    moved = np.abs(new - old)
    ranked = np.where(moved > chance, moved + 1, moved)
    at = int(np.argmax(ranked))
    return _change(names[at], float(old[at]), float(new[at]), sizes, threshold, float(chance[at]))


def risen_words_change(sample: TextSample, *, threshold: float, seed: int) -> ShareChange:
    """Return how many more texts hold risen words than in the reference, as shares.

    Which words have risen is chosen on the same texts; chance repeats the choice on texts that are
    dealt out again, and on each part of the reference against the others.
    """
    old, new = _holding(sample, sample.current)
    if new - old < threshold:  # chance is the costly part, and matters only beyond the threshold
        chance = 0.0
    else:
        rng = np.random.default_rng(seed)
        dealt = [_excess(sample, rng.permutation(sample.current)) for _ in range(DEALS)]
        chance = MARGIN * max(float(np.quantile(dealt, 0.99)), _between_text_parts(sample))
    counts = float((~sample.current).sum()), float(sample.current.sum())
    return _change("", old, new, counts, threshold, chance)


def largest_excess(before: Vector, now: Vector, texts_before: int, texts_now: int) -> float:
    """Return an upper bound of how many more texts hold risen words, as a share.

    The words' own excesses are added up, as if no text held two of them.

    Args:
        before: in how many texts each word stood.
        now: the same of the window.
        texts_before: number of texts.
        texts_now: the same of the window.
    """
    if not (texts_before and texts_now):
        return 0.0
    risen = _risen(before, now, float(texts_before), float(texts_now))
    return float((now[risen] / texts_now - before[risen] / texts_before).sum())


def _change(
    name: str,
    old: float,
    new: float,
    sizes: tuple[float, float],
    threshold: float,
    chance: float,
) -> ShareChange:
    # Newcombe's interval of the difference of two shares (1998, method 10).
    (old_low, old_high), (new_low, new_high) = (
        wilson_interval(share, max(size, 1.0))
        for share, size in zip((old, new), sizes, strict=True)
    )
    low = (new - old) - hypot(new - new_low, old_high - old)
    high = (new - old) + hypot(new_high - new, old - old_low)
    return ShareChange(name, old, new, low, high, threshold, chance)


def _overdispersion(parts: Sequence[Vector]) -> float:
    # Pearson's chi-squared over its degrees of freedom: 1 where the parts differ as draws do.
    filled = [part for part in parts if part.sum() > 0]
    if len(filled) < _FEWEST_PARTS:
        return 1.0
    table = np.array(filled)
    table = table[:, table.sum(axis=0) > 0]
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    freedom = (len(table) - 1) * (table.shape[1] - 1)
    if freedom == 0:
        return 1.0
    return max(1.0, sqrt(float(((table - expected) ** 2 / expected).sum()) / freedom))


def _between_text_parts(sample: TextSample) -> float:
    old = ~sample.current
    numbers, counts = np.unique(sample.part[old], return_counts=True)
    if len(numbers) < _FEWEST_PARTS:
        return 0.0
    reference = _only(sample, old)
    full_parts = numbers[counts >= counts.mean() / 2]
    return max((_excess(reference, reference.part == number) for number in full_parts), default=0.0)


def _only(sample: TextSample, texts: NDArray[np.bool_]) -> TextSample:
    inside = texts[sample.text]
    renumbered = np.cumsum(texts) - 1
    return TextSample(
        sample.words,
        sample.word[inside],
        renumbered[sample.text[inside]],
        sample.current[texts],
        sample.part[texts],
        sample.sizes,
    )


def _excess(sample: TextSample, current: NDArray[np.bool_]) -> float:
    old, new = _holding(sample, current)
    return new - old


def _holding(sample: TextSample, current: NDArray[np.bool_]) -> tuple[float, float]:
    # The shares of both sides' texts that hold a word which rose from one side to the other.
    total = np.bincount(sample.word, minlength=len(sample.words)).astype(np.float64)
    now = np.bincount(sample.word[current[sample.text]], minlength=len(total)).astype(np.float64)
    risen = _risen(total - now, now, float((~current).sum()), float(current.sum()))
    holds = np.zeros(len(current), np.bool_)
    holds[sample.text[risen[sample.word]]] = True
    return float(holds[~current].mean()), float(holds[current].mean())


def _risen(before: Vector, now: Vector, texts_before: float, texts_now: float) -> NDArray[np.bool_]:
    share = (before + now) / (texts_before + texts_now)
    ratio = np.zeros(len(now))
    for count, texts in ((before, texts_before), (now, texts_now)):
        ratio += _part(count, share * texts) + _part(texts - count, (1 - share) * texts)
    # Half a text is added on both sides, so that a word that was never seen has a finite lift.
    lift = ((now + 0.5) / (texts_now + 1)) / ((before + 0.5) / (texts_before + 1))
    doubled = (lift >= _LIFT) & (2 * ratio >= _RATIO)
    never_seen = (before == 0) & (now >= _FEWEST_NEW)
    return np.asarray(doubled | never_seen)


def _part(count: Vector, expected: Vector) -> Vector:
    positive = count > 0
    quotient = np.divide(count, expected, out=np.ones_like(count), where=positive & (expected > 0))
    return np.asarray(count * np.log(quotient))

"""`doubtful_labels`: which labels are probably wrong, judged by all the other labels.

The ranking of confident learning (Northcutt, Jiang and Chuang 2021): a model is fitted out of fold,
and a label is doubted the more, the further its probability lies below that of the best other label
(the paper's normalized margin). Self-confidence, the probability of the label alone and cleanlab's
default, finds more errors that are drawn at random and far fewer of those that people make: one label
taken for another that is like it (measured on BANKING77, bench/decisions/dataset.py).
Pure: what is done about a doubtful label is left to `label_checks`.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

__all__ = ["DoubtfulLabel", "doubtful_labels"]

_FOLDS = 5


@dataclass(frozen=True)
class DoubtfulLabel:
    """One label that the others contradict.

    Attributes:
        position: of the text among those given.
        quality: normalized margin, half of 1 + probability of the label - that of the alternative, by
            a model that was not fitted on it; in [0, 0.5).
        alternative: the label that the model finds most probable.
    """

    position: int
    quality: float
    alternative: str


def doubtful_labels(
    texts: Sequence[str], labels: Sequence[str], *, seed: int
) -> list[DoubtfulLabel]:
    """Return the labels that are not the most probable ones for their texts, the worst first.

    Labels with fewer than five texts are neither judged nor learned from: a model that is fitted
    without one fold hardly knows them.

    Args:
        texts: what was labeled.
        labels: one per text, right or wrong.
        seed: deals the texts into folds.
    """
    counts: dict[str, list[int]] = defaultdict(list)
    for position, label in enumerate(labels):
        counts[label].append(position)
    judged = {label: places for label, places in counts.items() if len(places) >= _FOLDS}
    if len(judged) < 2:  # noqa: PLR2004 - one label alone contradicts nothing
        return []
    names = sorted(judged)
    places = sorted(position for positions in judged.values() for position in positions)
    label_indices = [names.index(labels[place]) for place in places]
    folds = _deal(label_indices, len(names), seed)
    chances = _out_of_fold([texts[place] for place in places], label_indices, folds, len(names))
    doubtful = []
    for row, (place, own) in enumerate(zip(places, label_indices, strict=True)):
        best = int(chances[row].argmax())
        if best != own:
            quality = float(1 + chances[row, own] - chances[row, best]) / 2
            doubtful.append(DoubtfulLabel(place, quality, names[best]))
    return sorted(doubtful, key=lambda one: (round(one.quality, 9), one.position))


def _deal(label_indices: Sequence[int], labels: int, seed: int) -> list[int]:
    # Every label is spread evenly over the folds, each label beginning with another one.
    rng = Random(seed)  # noqa: S311 - reproducible, not secret
    rows: list[list[int]] = [[] for _ in range(labels)]
    for row, label in enumerate(label_indices):
        rows[label].append(row)
    folds = [0] * len(label_indices)
    for label, members in enumerate(rows):
        rng.shuffle(members)
        for turn, row in enumerate(members):
            folds[row] = (turn + label) % _FOLDS
    return folds


def _out_of_fold(
    texts: Sequence[str], label_indices: Sequence[int], folds: Sequence[int], labels: int
) -> NDArray[np.float64]:
    # One against the rest by coordinate descent: five times as fast as the multinomial fit with
    # many labels, and no worse at finding errors.
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    features = TfidfVectorizer(sublinear_tf=True).fit_transform(texts)
    truth, fold_of = np.array(label_indices), np.array(folds)
    chances = np.zeros((len(label_indices), labels))
    for fold in range(_FOLDS):
        inside, outside = fold_of == fold, fold_of != fold
        if not inside.any():
            continue
        model = OneVsRestClassifier(LogisticRegression(C=20.0, solver="liblinear"))
        model.fit(features[outside], truth[outside])
        chances[np.ix_(inside, model.classes_)] = model.predict_proba(features[inside])
    return chances

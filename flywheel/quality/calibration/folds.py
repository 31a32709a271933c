"""Folds: what a fit says about cases of which it knows nothing."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from flywheel.quality.calibration.log_odds import Floats

__all__ = ["FOLDS", "fold_numbers", "out_of_fold"]

FOLDS = 10
_SEED = 20070207


def fold_numbers(raw: Floats) -> NDArray[np.intp]:
    """Deal the cases into ten folds that are alike in confidence, by a seeded draw.

    Verdicts have no say: folds that are alike in accuracy would know each other's.
    """
    generator = np.random.default_rng(_SEED)
    shuffled = generator.permutation(len(raw))
    order = shuffled[np.argsort(raw[shuffled], kind="stable")]
    rounds = -(-len(raw) // FOLDS)
    deal = np.concatenate([generator.permutation(FOLDS) for _ in range(rounds)])
    numbers = np.empty(len(raw), dtype=np.intp)
    numbers[order] = deal[: len(raw)]
    return numbers


def out_of_fold(
    raw: Floats, right: Floats, fit: Callable[[Floats, Floats], Callable[[Floats], Floats]]
) -> Floats:
    """Return what ``fit`` says of each case when it has seen the other folds alone."""
    numbers = fold_numbers(raw)
    chance = np.empty(len(raw))
    for number in range(FOLDS):
        held_out = numbers == number
        chance[held_out] = fit(raw[~held_out], right[~held_out])(raw[held_out])
    return chance

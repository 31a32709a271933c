"""Probabilities on the scale of log-odds, and back."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "chances", "log_odds"]

Floats = NDArray[np.float64]

# A model that says one in a million and one that says one in a billion have shown the same: judged
# cases by the hundred cannot tell them apart, and the second would move every line.
_RAREST = 1e-6
# Beyond this, 1 - chance is lost in a float.
_FARTHEST = 30.0


def log_odds(probabilities: Floats, *, rarest: float = _RAREST) -> Floats:
    """Return the log-odds, 0 and 1 taken as ``rarest`` and one less that."""
    inside = np.clip(probabilities, rarest, 1 - rarest)
    return np.asarray(np.log(inside / (1 - inside)), dtype=np.float64)


def chances(odds: Floats) -> Floats:
    """Return the probabilities of log-odds, never 0 or 1."""
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -_FARTHEST, _FARTHEST))), dtype=np.float64)

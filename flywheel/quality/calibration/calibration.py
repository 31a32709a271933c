"""`Calibration`: the chosen curve, what it is worth, and the form in which a release keeps it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from flywheel.errors import MeasurementError
from flywheel.io.records import JsonObject
from flywheel.quality.calibration.folds import out_of_fold
from flywheel.quality.calibration.isotonic import PointsCurve, fit_isotonic
from flywheel.quality.calibration.log_odds import Floats, log_odds
from flywheel.quality.calibration.platt import PlattCurve, fit_platt

__all__ = ["Calibration", "calibration_from_facts", "fit_calibration"]

Curve = PlattCurve | PointsCurve
Method = Literal["none", "platt", "isotonic"]

_FEWEST = 40
# Niculescu-Mizil and Caruana (2005), Predicting good probabilities with supervised learning: below
# about a thousand cases isotonic regression overfits, above it is at least as good as Platt's.
_MANY = 1000
# Answers on one step of a curve keep their raw order by this much of the raw number.
_RAW_SHARE = 1e-6


@dataclass(frozen=True)
class Calibration:
    """From a raw confidence to the chance of being right, strictly rising.

    ``brier_raw`` and ``brier`` are the mean squared errors of the raw number and of the fit, the
    latter out of fold. The method is ``none``, and the raw number stands, where there are too few
    cases (then both are None) or where the fit does not beat it.
    """

    method: Method
    cases: int
    curve: Curve | None = None
    brier_raw: float | None = None
    brier: float | None = None

    def __call__(self, raw: float) -> float:
        """Return the chance of being right for a raw confidence in [0, 1]."""
        return float(self.chances(np.array([raw], dtype=np.float64))[0])

    def chances(self, raw: Floats) -> Floats:
        """Return the chances of being right for many raw confidences."""
        if self.curve is None:
            return raw
        chances = self.curve(raw)
        return chances + _RAW_SHARE * (raw - chances)

    @property
    def summary(self) -> str:
        """Say in one sentence whether confidence is calibrated, and what that is worth."""
        if self.brier is None or self.brier_raw is None:
            return (
                f"confidence is the model's own: {self.cases} judged cases are too few to "
                f"calibrate it, {_FEWEST} are needed"
            )
        errors = f"Brier {self.brier_raw:.3f} raw, {self.brier:.3f} fitted, out of fold"
        if self.curve is None:
            return (
                f"confidence is the model's own: no fit on {self.cases} judged cases beats it "
                f"({errors})"
            )
        return f"confidence is calibrated on {self.cases} judged cases by {self.method} ({errors})"

    def facts(self) -> JsonObject:
        """Return what is kept with the release: slope and level, or points, beside the rest."""
        facts = {"method": self.method, "cases": self.cases}
        curve = {} if self.curve is None else asdict(self.curve)
        return {**facts, **curve, "brier_raw": self.brier_raw, "brier": self.brier}


def calibration_from_facts(facts: Mapping[str, Any]) -> Calibration:
    """Read what ``Calibration.facts`` wrote.

    Version 0.1 kept every curve as points, and also one that was worse than the raw number or the
    same for all answers: of those the raw number stands.
    """
    brier_raw, brier = facts["brier_raw"], facts["brier"]
    curve: Curve | None = None
    if "slope" in facts:
        curve = PlattCurve(float(facts["slope"]), float(facts["level"]))
    elif facts.get("points"):
        curve = PointsCurve(tuple((float(raw), float(chance)) for raw, chance in facts["points"]))
        worse = brier is not None and brier >= brier_raw
        if worse or curve.points[0][1] >= curve.points[-1][1]:
            curve = None
    method: Method = "none" if curve is None else facts["method"]
    return Calibration(method, facts["cases"], curve, brier_raw, brier)


def fit_calibration(raw: Sequence[float], right: Sequence[bool]) -> Calibration:
    """Fit a rising curve from confidence to accuracy, if one is better than no curve.

    Platt's curve is tried first, with a thousand cases also an isotonic one. Each must beat what
    stands so far on cases that it has not seen: by more than one standard error in log loss
    (Breiman et al. (1984), Classification and regression trees, section 3.4.3) and also in squared
    error.

    Args:
        raw: confidences in [0, 1].
        right: whether each answer was the accepted one.

    Raises:
        MeasurementError: a confidence is not a probability, or the two do not belong together.
    """
    if len(raw) != len(right) or not all(0 <= value <= 1 for value in raw):
        raise MeasurementError(
            f"{len(raw)} confidences do not fit {len(right)} verdicts, or are not probabilities.",
            next_step="look at the model server, then run the gate again",
        )
    if len(raw) < _FEWEST:
        return Calibration("none", len(raw))
    return _choose(np.array(raw, dtype=np.float64), np.array(right, dtype=np.float64))


def _choose(raw: Floats, right: Floats) -> Calibration:
    fits: list[tuple[Method, Callable[[Floats, Floats], Curve]]] = [("platt", fit_platt)]
    if len(raw) >= _MANY:
        fits.append(("isotonic", fit_isotonic))
    chances = {method: out_of_fold(raw, right, fit) for method, fit in fits}
    method: Method = "none"
    curve: Curve | None = None
    best = raw
    for name, fit in fits:
        if _beats(chances[name], best, right):
            method, curve, best = name, fit(raw, right), chances[name]
    return Calibration(
        method,
        len(raw),
        curve,
        brier_raw=_brier(raw, right),
        brier=_brier(chances["platt"] if curve is None else best, right),
    )


def _beats(challenger: Floats, standing: Floats, right: Floats) -> bool:
    gain = _log_losses(standing, right) - _log_losses(challenger, right)
    error = float(gain.std(ddof=1)) / math.sqrt(len(gain))
    return float(gain.mean()) > error and _brier(challenger, right) < _brier(standing, right)


def _log_losses(chance: Floats, right: Floats) -> Floats:
    odds = log_odds(chance)
    return np.asarray(np.logaddexp(0, odds) - right * odds, dtype=np.float64)


def _brier(chance: Floats, right: Floats) -> float:
    return float(np.mean((chance - right) ** 2))

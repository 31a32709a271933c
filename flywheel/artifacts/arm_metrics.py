"""`ArmMetrics`: the figures of one arm on one suite, as a gate report holds them.

They are measured in ``evaluate``; what is undefined is None, never a number.
"""

from pydantic import Field

from flywheel.artifacts.frozen import Frozen

__all__ = [
    "ArmMetrics",
    "FieldAverages",
    "FieldScore",
    "LabelMetrics",
    "PrecisionRecall",
    "RuleFigure",
    "TextFigures",
]


class PrecisionRecall(Frozen):
    """Precision, recall and F1, in [0, 1]; None where there are no values."""

    precision: float | None = None
    recall: float | None = None
    f1: float | None = None


class FieldAverages(Frozen):
    """All fields of an answer: over their values alike (micro), and over the fields alike (macro).

    The values of a list of groups are the fields of its items.
    """

    micro: PrecisionRecall
    macro: PrecisionRecall


class FieldScore(Frozen):
    """One field over all cases of a suite; a figure without values is None.

    ``precision``, ``recall`` and ``f1`` are over all values alike (micro-averages), ``macro`` is
    over the cases alike. In ``absent`` cases nothing was expected, and in ``hallucinated`` of them
    something was given.
    """

    expected: int
    given: int
    matched: int
    precision: float | None
    recall: float | None
    f1: float | None
    macro: PrecisionRecall = PrecisionRecall()
    absent: int = 0
    hallucinated: int = 0


class LabelMetrics(Frozen):
    """One label: how many cases have it, and how many of those are right as a whole."""

    cases: int
    accuracy: float
    f1: float


class RuleFigure(Frozen):
    """Texts for which a rule holds, and the share of them that keeps it."""

    cases: int
    kept: float


class TextFigures(Frozen):
    """Texts of one arm against the accepted ones; means over the cases, all in [0, 1].

    ``edit_rate`` is the share of texts that differ from the accepted ones at all, ``edit_distance``
    Levenshtein's by characters, divided by the longer length.
    """

    edit_rate: float
    edit_distance: float
    chrf: float
    sentence_similarity: float
    rules: dict[str, RuleFigure]
    all_rules: float | None


class ArmMetrics(Frozen):
    """One arm on one suite; shares are in [0, 1], times in seconds.

    ``fields`` are shares of cases whose field of the top level is right, ``field_scores`` precision,
    recall and F1 by the path of a field, ``field_averages`` those of all fields; ``text`` the
    figures of a generation, None elsewhere.

    ``calibration_error`` is right on average and may fall below 0; reports of version 0.1 have it
    without its interval, and with the part that chance adds.
    """

    suite: str
    arm: str
    release: str
    cases: int
    exact_match: float | None
    macro_f1: float | None
    schema_validity: float | None
    calibration_error: float | None
    calibration_interval: tuple[float, float] | None = None
    seconds_p50: float | None
    seconds_p95: float | None
    labels: dict[str, LabelMetrics]
    fields: dict[str, float]
    field_scores: dict[str, FieldScore] = Field(default_factory=dict)
    text: TextFigures | None = None
    field_averages: FieldAverages | None = None

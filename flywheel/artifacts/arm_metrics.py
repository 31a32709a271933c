"""`ArmMetrics`: the figures of one arm on one suite, as a gate report holds them.

They are measured in ``evaluate``; what is undefined is None, never a number.
"""

from pydantic import BaseModel, ConfigDict

__all__ = [
    "ArmMetrics",
    "FieldAverages",
    "FieldScore",
    "LabelMetrics",
    "PrecisionRecall",
    "RuleFigure",
    "TextFigures",
]


class PrecisionRecall(BaseModel):
    """Precision, recall and F1, in [0, 1]; None where there are no values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    precision: float | None = None
    recall: float | None = None
    f1: float | None = None


class FieldAverages(BaseModel):
    """All fields of an answer: over their values alike (micro), and over the fields alike (macro).

    The values of a list of groups are the fields of its items.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    micro: PrecisionRecall
    macro: PrecisionRecall


class FieldScore(BaseModel):
    """One field over all cases of a suite; a figure without values is None.

    ``precision``, ``recall`` and ``f1`` are over all values alike (micro-averages), ``macro`` is
    over the cases alike. In ``absent`` cases nothing was expected, and in ``hallucinated`` of them
    something was given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    expected: int
    given: int
    matched: int
    precision: float | None
    recall: float | None
    f1: float | None
    macro: PrecisionRecall = PrecisionRecall()
    absent: int = 0
    hallucinated: int = 0


class LabelMetrics(BaseModel):
    """One label: how many cases have it, and how many of those are right as a whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cases: int
    accuracy: float
    f1: float


class RuleFigure(BaseModel):
    """Texts for which a rule holds, and the share of them that keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cases: int
    kept: float


class TextFigures(BaseModel):
    """Texts of one arm against the accepted ones; means over the cases, all in [0, 1].

    ``edit_rate`` is the share of texts that differ from the accepted ones at all, ``edit_distance``
    Levenshtein's by characters, divided by the longer length.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    edit_rate: float
    edit_distance: float
    chrf: float
    sentence_similarity: float
    rules: dict[str, RuleFigure]
    all_rules: float | None


class ArmMetrics(BaseModel):
    """One arm on one suite; shares are in [0, 1], times in seconds.

    ``fields`` are shares of cases whose field of the top level is right, ``field_scores`` precision,
    recall and F1 by the path of a field, ``field_averages`` those of all fields; ``text`` the
    figures of a generation, None elsewhere.

    ``calibration_error`` is right on average and may fall below 0; reports of version 0.1 have it
    without its interval, and with the part that chance adds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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
    field_scores: dict[str, FieldScore] = {}
    text: TextFigures | None = None
    field_averages: FieldAverages | None = None

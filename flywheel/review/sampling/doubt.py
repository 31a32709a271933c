"""`most_doubtful`: which accepted answers of one person are worth a second judgment.

The chance that an answer is wrong, from three things that are taken as independent: how often this
person errs, how often answers that name this label are wrong, and what the model said: against a
confident one an answer is doubtful, with it hardly. What is chosen is judged again where a second
judgment finds most, not at random (Sheng, Provost and Ipeirotis 2008, Get another label? Improving
data quality using multiple, noisy labelers; the combination is that of Dawid and Skene 1979 with the
model as one more judge). Pure: who is asked, and for how many judgments, is left to
`second_judgments`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log
from statistics import fmean

__all__ = ["ErrorRates", "GivenAnswer", "doubts_of", "error_rates", "most_doubtful"]

# Prior: one answer in twenty is wrong. A rate of a person or label begins at the overall
# one, as if that had been seen in ten answers.
_PRIOR_WRONG, _PRIOR_ANSWERS = 1, 20
_SEEN_OF_OTHERS = 10
_LEAST, _MOST = 0.02, 0.98  # neither a model nor a person is trusted further


@dataclass(frozen=True)
class GivenAnswer:
    """An answer that exactly one person judged.

    Attributes:
        name: of the item.
        annotator: who gave it.
        label_id: label that it names, None where it names none.
        with_model: whether the model had given the same answer; None where its answer is not known.
        confidence: of the model's answer, None where it reports none.
    """

    name: str
    annotator: str
    label_id: str | None
    with_model: bool | None
    confidence: float | None


@dataclass(frozen=True)
class ErrorRates:
    """How often answers are wrong: overall, of a person, and of those that name a label."""

    overall: float
    people: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, float] = field(default_factory=dict)

    def of(self, annotator: str, label_id: str | None) -> float:
        """Return the logit of the rate that person and label make together."""
        person = self.people.get(annotator, self.overall)
        label = self.labels.get(label_id or "", self.overall)
        return _logit(person) + _logit(label) - _logit(self.overall)


def error_rates(
    people: Iterable[tuple[str, bool]], labels: Iterable[tuple[str, bool]]
) -> ErrorRates:
    """Work out the rates, each drawn towards the overall one the less is known of it.

    Args:
        people: who answered, and whether it was right; only answers that were not checked because
            they looked wrong.
        labels: label that an answer named, and whether it was right.
    """
    judged, named = list(people), list(labels)
    wrong = sum(not right for _, right in judged)
    overall = (wrong + _PRIOR_WRONG) / (len(judged) + _PRIOR_ANSWERS)
    return ErrorRates(overall, _rates(judged, overall), _rates(named, overall))


def doubts_of(answers: Sequence[GivenAnswer], rates: ErrorRates) -> list[float]:
    """Return the chance that each answer is wrong.

    What the model's confidence is worth follows from how often people agree with it in these very
    answers: a model that is sure and mostly contradicted says nothing against a person.
    """
    compared = [answer for answer in answers if answer.with_model is not None]
    if not compared:
        return [_chance(rates.of(answer.annotator, answer.label_id)) for answer in answers]
    agreed = fmean(bool(answer.with_model) for answer in compared)
    expected = fmean(_confidence(answer) for answer in compared)
    shift = _logit(agreed) - _logit(expected)
    doubts = []
    for answer in answers:
        evidence = 0.0
        if answer.with_model is not None:
            right = _logit(_chance(_logit(_confidence(answer)) + shift))
            evidence = -right if answer.with_model else right
        doubts.append(_chance(rates.of(answer.annotator, answer.label_id) + evidence))
    return doubts


def most_doubtful(
    answers: Sequence[GivenAnswer], rates: ErrorRates, most: int
) -> list[tuple[GivenAnswer, float]]:
    """Return the answers to judge again with the chance that they are wrong, the worst first.

    None whose chance is no greater than the overall rate: that many errors are found at random, and
    what is not spent is there for new questions.
    """
    doubts = doubts_of(answers, rates)
    ranked = sorted(zip(answers, doubts, strict=True), key=lambda one: (-one[1], one[0].name))
    return [(answer, doubt) for answer, doubt in ranked[:most] if doubt > rates.overall]


def _rates(answers: Sequence[tuple[str, bool]], overall: float) -> dict[str, float]:
    total = Counter(name for name, _ in answers)
    wrong = Counter(name for name, right in answers if not right)
    return {
        name: (wrong[name] + _SEEN_OF_OTHERS * overall) / (number + _SEEN_OF_OTHERS)
        for name, number in total.items()
    }


def _confidence(answer: GivenAnswer) -> float:
    # A model that reports no confidence may be right or wrong.
    return 0.5 if answer.confidence is None else answer.confidence


def _logit(chance: float) -> float:
    bounded = min(_MOST, max(_LEAST, chance))
    return log(bounded / (1 - bounded))


def _chance(logit: float) -> float:
    return 1 / (1 + exp(-logit))

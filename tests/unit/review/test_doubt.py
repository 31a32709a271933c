"""The chance that an answer of one person is wrong, and what follows from it."""

from dataclasses import replace
from statistics import fmean

import pytest

from bench.decisions.second_judgments import play
from flywheel.review.sampling.doubt import GivenAnswer, doubts_of, error_rates, most_doubtful

NOBODY = error_rates([], [])


def given(name="a", **changes):
    """Return an answer of ann that the model had given as well."""
    return replace(GivenAnswer(name, "ann", "oil", True, 0.9), **changes)


@pytest.fixture(scope="module")
def plays():
    """Return twenty seeded periods of a thousand items."""
    return [play(seed) for seed in range(20)]


def test_nobody_known_errs_once_in_twenty_answers():
    """Without any judged twice every answer has the same chance."""
    alone = [given("a", with_model=None), given("b", with_model=None, annotator="ben")]
    assert doubts_of(alone, NOBODY) == [pytest.approx(0.05)] * 2


def test_against_a_confident_model_an_answer_is_doubtful():
    """The surer the model, the more; with it hardly; an unsure one says little."""
    answers = [given(str(number)) for number in range(18)]
    against = [given("sure", with_model=False), given("less", with_model=False, confidence=0.55)]
    doubts = dict(
        zip([a.name for a in answers + against], doubts_of(answers + against, NOBODY), strict=True)
    )
    assert doubts["0"] < 0.05 < doubts["less"] < doubts["sure"]


def test_a_model_that_people_contradict_is_no_witness():
    """Confident or not: a base model that is wrong nearly always makes nobody doubtful."""
    against = [given(str(number), with_model=False) for number in range(20)]
    assert most_doubtful(against, NOBODY, 20) == []


def test_who_errs_often_and_what_is_often_confused_is_doubted():
    """Each raises the chance, and both together most."""
    people = [("ann", True)] * 30 + [("ben", True)] * 20 + [("ben", False)] * 10
    labels = [("oil", True)] * 30 + [("heat", True)] * 20 + [("heat", False)] * 10
    rates = error_rates(people, labels)
    cases = [("ann", "oil"), ("ben", "oil"), ("ann", "heat"), ("ben", "heat")]
    answers = [
        given(f"{who} {label}", annotator=who, label_id=label, with_model=None)
        for who, label in cases
    ]
    sure, careless, confusable, both = doubts_of(answers, rates)
    assert sure < min(careless, confusable) <= max(careless, confusable) < both
    assert next(answer.name for answer, _ in most_doubtful(answers, rates, 2)) == "ben heat"


def test_one_error_condemns_nobody():
    """A rate of few answers stays near that of all."""
    rates = error_rates([("ann", False)] + [("ben", True)] * 99, [])
    assert rates.people["ann"] < 0.2
    assert rates.people["ben"] < rates.overall < rates.people["ann"]


def test_what_is_no_more_doubtful_than_others_is_not_judged_again():
    """The budget that is not needed is left for new questions."""
    answers = [given(str(number)) for number in range(10)]
    assert most_doubtful(answers, NOBODY, 10) == []


def test_chosen_judgments_meet_more_errors_than_drawn_ones(plays):
    """At least three times as many per judgment, in simulation."""
    chosen, chance = (fmean(getattr(one, n) for one in plays) for n in ("precision", "wrong"))
    assert chosen > 3 * chance


def test_agreement_is_measured_without_bias_on_what_was_drawn(plays):
    """On drawn and chosen items together it would look far worse than it is."""
    drawn = [one.alpha - one.alpha_true for one in plays]
    together = [one.alpha_all_twice - one.alpha_true for one in plays]
    assert abs(fmean(drawn)) < 0.03
    assert fmean(together) < -0.15

"""Checks that hold without a champion: minimum accuracy, labels of a first release."""

import pytest

from flywheel.evaluate.absolute import check_absolute
from flywheel.evaluate.evidence import GateEvidence, PairedAccuracy
from flywheel.evaluate.paired import PairedCounts
from flywheel.quality.intervals import wilson_interval
from flywheel.workload.model import GateRules

RULES = GateRules()


def evidence(right, cases, *, first=False, labels=None):
    golden = PairedAccuracy(PairedCounts(cases, right, 0), 0)
    return GateEvidence(
        first=first, golden=golden, holdout=None, answers=cases, valid=cases, labels=labels or {}
    )


def outcomes(given, rules=RULES):
    return {check.name: check.outcome for check in check_absolute(rules, given)}


@pytest.mark.parametrize(
    ("right", "outcome"), [(180, "pass"), (155, "inconclusive"), (120, "fail"), (0, "fail")]
)
def test_minimum_accuracy_is_shown_or_not(right, outcome):
    """Of 300 cases with a minimum of one half."""
    assert outcomes(evidence(right, 300)) == {"minimum_accuracy": outcome}


def test_minimum_of_exactly_the_lower_bound_passes():
    """At the bound the minimum is reached, above it is not."""
    lower, _ = wilson_interval(180 / 300, 300, 1 - RULES.significance)
    for minimum, outcome in ((lower, "pass"), (lower + 1e-9, "inconclusive")):
        rules = RULES.model_copy(update={"minimum_accuracy": minimum})
        assert outcomes(evidence(180, 300), rules) == {"minimum_accuracy": outcome}


def test_no_minimum_is_no_check():
    """With a minimum of 0 nothing is asked of a later release."""
    rules = RULES.model_copy(update={"minimum_accuracy": 0.0})
    assert outcomes(evidence(0, 300), rules) == {}


def test_broken_label_of_a_first_release_fails():
    """Ten cases of which none is right, among labels that are well, and one that is only weak."""

    def label(right, cases):
        return PairedAccuracy(PairedCounts(cases, right, 0), 0)

    labels = {f"l{n}": label(12, 14) for n in range(21)}
    fine = evidence(258, 300, first=True, labels={**labels, "x": label(4, 12)})
    assert set(outcomes(fine).values()) == {"pass"}
    broken = evidence(254, 300, first=True, labels={**labels, "x": label(0, 12)})
    assert outcomes(broken)["label_minimum:x"] == "fail"
    # A later release is held to its champion's labels instead.
    later = evidence(254, 300, labels={**labels, "x": label(0, 12)})
    assert "label_minimum:x" not in outcomes(later)

"""The whole policy, played: what it may cost, and when control items train."""

import numpy as np

from bench.decisions.policy_quarters import PolicyQuarters
from flywheel.simulation.labeled import LabeledRow
from tests.fakes.review_world import TOPICS, classification, text, truth

QUARTERS, EACH, BUDGET = 4, 120, 30
REVIEW = {
    "budget": BUDGET,
    "shares": {"control": 0.4, "uncertain": 0.6, "novel": 0.0, "flagged": 0.0},
    "gold": 0.0,
}


class HalfSure:
    """A learner that calls everything an oil fault and is half sure of it."""

    def answer(self, rows):
        """Return label, confidence and margin of each row."""
        share = np.full(len(rows), 0.5)
        return [f"{TOPICS[0]} fault"] * len(rows), share, share / 2


def played():
    """Return the played policy and what could be trained on after each quarter."""
    policy = PolicyQuarters(classification(review=REVIEW), [])
    trained = []
    for quarter in range(QUARTERS):
        numbers = range(quarter * EACH, (quarter + 1) * EACH)
        rows = [LabeledRow(text(number), truth(number)) for number in numbers]
        trained.append({row.text for row in policy.play(HalfSure(), rows)})
    return policy, trained


def test_no_quarter_costs_more_than_its_budget():
    """Second judgments and checks included, and most of it is spent."""
    policy, _ = played()
    assert all(BUDGET - 6 <= spent <= BUDGET for spent in policy.judgments)


def test_control_items_train_two_quarters_later():
    """Until then the holdout, the quality and the champion's calibration rest on them."""
    policy, trained = played()
    control = {row.text for _, row in policy._control}
    numbers = {text(number): number for number in range(QUARTERS * EACH)}
    of_quarter = [
        {one for one in control if numbers[one] // EACH == quarter} for quarter in range(QUARTERS)
    ]
    assert all(of_quarter)
    for quarter in range(QUARTERS):
        released = trained[quarter] & control
        assert released == set().union(*of_quarter[: max(0, quarter - 1)])

from datetime import timedelta

import pytest

from flywheel.dataset.control_windows import control_windows, figures_of, released
from flywheel.dataset.examples import Example
from tests.fakes.review_world import START

PROMOTED = START + timedelta(days=90)
BEFORE, AFTER = PROMOTED - timedelta(seconds=1), PROMOTED


def control(slice_="control", **changes):
    """Return one judged control item."""
    texts = dict.fromkeys(("input", "output", "label_id", "key", "input_hash"), "x")
    return Example("i1", "c1", **texts, slice=slice_, **changes)


def test_every_item_is_held_out_before_the_first_promotion():
    """Quality and the first gate rest on all of them, whatever their time."""
    windows = control_windows(holdout_since=None)
    for moment in (START, None):
        assert figures_of(control(event_time=moment), windows) == ("quality", "holdout")


@pytest.mark.parametrize(("moment", "resting"), [(BEFORE, ()), (AFTER, ("quality", "holdout"))])
def test_promotion_ends_the_windows_of_quality_and_holdout(moment, resting):
    """An item of the promoted release's own time is measured with, an older one is released."""
    windows = control_windows(holdout_since=PROMOTED, quality_since=PROMOTED)
    item = control(event_time=moment)
    assert figures_of(item, windows) == resting
    assert released(item, windows) is not bool(resting)


def test_calibration_holds_what_it_was_fitted_on():
    """The champion's confidence rests on its gate's holdout until it is replaced."""
    item = control(event_time=BEFORE)
    since = {"holdout_since": PROMOTED}
    windows = control_windows(**since, champion="r1", calibrated_on={item.inference_id})
    assert figures_of(item, windows) == ("calibration",)
    assert windows[-1].until == "another release than r1 is the champion"
    assert released(item, control_windows(**since, champion="r2", calibrated_on={"other"}))


def test_rollback_keeps_the_items_that_the_old_champion_is_measured_by():
    """Its quality is counted from its own promotion, before that of the release rolled back."""
    windows = control_windows(holdout_since=PROMOTED, quality_since=START)
    assert figures_of(control(event_time=BEFORE), windows) == ("quality",)


def test_other_items_are_no_concern_of_the_windows():
    """Nothing is measured with an item that was chosen for being difficult."""
    windows = control_windows(holdout_since=None)
    assert figures_of(control("uncertain"), windows) == ()
    assert not released(control("uncertain"), ())


@pytest.mark.parametrize(("moment", "resting"), [(BEFORE, ()), (AFTER, ("holdout",))])
def test_directed_items_are_held_out_until_the_next_promotion(moment, resting):
    """They decide gates and say nothing about production; a released one may train."""
    windows = control_windows(holdout_since=PROMOTED, quality_since=PROMOTED)
    item = control("directed", event_time=moment)
    assert figures_of(item, windows) == resting
    assert released(item, windows) is not bool(resting)

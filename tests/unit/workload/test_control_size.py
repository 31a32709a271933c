import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from flywheel.drift.quality import fall_statistic
from flywheel.errors import FlywheelError
from flywheel.workload.control_size import (
    LIMIT,
    _statistic,
    control_items,
    fall_is_seen,
    smallest_fall,
)
from tests.fakes.review_world import classification


def detections(items, drop, streams, seed):
    """Return the share of streams in which some split of the items passes the chart's limit."""
    rng = np.random.default_rng(seed)
    level = np.where(np.arange(items) < items / 3, 0.9, 0.9 - drop)
    right = (rng.random((streams, items)) < level).cumsum(axis=1)
    n = np.arange(20, items - 10)
    before, total = right[:, n - 1], right[:, -1:]
    shares = (
        before / n,
        (total - before) / (items - n),
        np.broadcast_to(total / items, before.shape),
    )
    one, other, pooled = (
        -(s * np.log(np.clip(s, 1e-12, 1)) + (1 - s) * np.log(np.clip(1 - s, 1e-12, 1)))
        for s in shares
    )
    ratio = 2 * (items * pooled - n * one - (items - n) * other)
    found = np.where(shares[0] > shares[1], np.sqrt(np.maximum(ratio, 0)), 0)
    return (found.max(axis=1) >= LIMIT).mean()


@pytest.mark.parametrize("drop", [0.1, 0.2])
def test_so_many_items_show_the_fall_in_three_of_four_streams(drop):
    """The promise of the formula, played: what is asked for is seen, and half the items are few."""
    items = control_items(drop)
    assert 0.65 <= detections(items, drop, 400, seed=1) <= 0.85
    assert detections(items // 2, drop, 400, seed=2) < 0.45


def test_smallest_fall_is_the_inverse():
    """Twice the precision costs four times the items, about."""
    items = control_items(0.1)
    assert smallest_fall(items / 3, items * 2 / 3) == pytest.approx(0.1, abs=1e-3)
    assert 3 < control_items(0.05) / items < 5
    assert smallest_fall(1, 2) is None
    # From a level of 1 a fall is seen best; beyond it and at 0 there is none.
    assert 0 < smallest_fall(60, 120, level=1.0) < smallest_fall(60, 120)
    assert smallest_fall(60, 120, level=1.01) is smallest_fall(60, 120, level=0) is None


def test_a_large_fall_needs_no_fewer_items_than_a_verdict():
    """Twenty judged items before and ten after are needed, however large the fall."""
    assert control_items(0.8) == 60
    assert control_items(0.0) is None


def test_scalar_and_vector_are_one_statistic():
    """What sizes the slice and what judges it agree, level 1 and empty sides included."""
    for before, old, after, new in [(100, 0.9, 50, 0.8), (20, 1.0, 10, 0.2), (30, 0.5, 30, 0.0)]:
        vector = float(fall_statistic(before, old, after, new))
        assert fall_is_seen(before, after, old, old - new) == (vector >= LIMIT)
        assert _statistic(before, old, after, new) == pytest.approx(vector, rel=1e-9)


def test_loading_a_workload_imports_no_numpy(tmp_path):
    """A file that asks for a fall is checked by arithmetic: numpy takes longer than the whole load."""
    text = (Path(__file__).parents[3] / "deploy/workloads/defect_reports.yaml").read_text()
    data = yaml.safe_load(text)
    data["review"] |= {"budget": 5000, "control_drop": 0.1}
    file = tmp_path / "asked.yaml"
    file.write_text(yaml.safe_dump(data))
    program = (
        "import sys; from pathlib import Path; from flywheel.workload.files import load_workload\n"
        f"assert load_workload(Path({str(file)!r})).review.control_share < 0.2\n"
        "sys.exit('numpy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_drop_sets_the_share_of_the_control_slice():
    """So many of the items that the budget pays for are drawn at random."""
    review = classification(
        review={"budget": 1000, "control_drop": 0.2, "overlap": 0.1, "gold": 0.0}
    ).review
    assert review.control_share == pytest.approx(control_items(0.2) / (1000 / 1.2))


def test_share_stands_where_no_drop_is_asked_for():
    """Workload files that were written before keep their control slice."""
    review = classification(review={"budget": 60}).review
    assert review.control_share == review.shares.control == 0.25


def test_drop_that_the_budget_cannot_show_is_refused():
    """The message says what would be seen instead."""
    with pytest.raises(FlywheelError, match="that all of them would show is"):
        classification(review={"budget": 420, "control_drop": 0.05})

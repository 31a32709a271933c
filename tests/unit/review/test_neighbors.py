"""What stands beside an item: similar inputs with the answers that people agreed on."""

import pyarrow as pa
import pytest

from flywheel.lake.tables import TABLES
from flywheel.review.sampling.neighbors import neighbor_lines
from tests.fakes.review_items import review_item
from tests.fakes.review_world import END, classification, correction, put_corrections

WORKLOAD = classification()
ASKED = "the hydraulic press leaks oil on the floor"


def put(lake, **changes):
    """Put one answered input into the lake that is much like the one asked about."""
    answered = {"input": "hydraulic press leaking oil on the floor", "output": "oil fault"}
    put_corrections(lake, WORKLOAD, [correction(1, **answered | changes)])


def lines(lake, **changes):
    """Return what stands beside one item."""
    item = review_item(WORKLOAD, **{"input": ASKED} | changes)
    return neighbor_lines(lake, WORKLOAD, [item]).get("item0000", [])


def test_the_nearest_come_with_their_answers(lake):
    """A similar input is shown, a different one is not."""
    put(lake)
    put_corrections(
        lake, WORKLOAD, [correction(2, input="the invoice has a wrong date", output="heat fault")]
    )
    assert lines(lake) == ["oil fault ← hydraulic press leaking oil on the floor"]


@pytest.mark.parametrize("slice_", ["control", "gold", "adjudication"])
def test_blind_items_have_none(lake, slice_):
    """Nothing stands beside what is judged blind, or decides a dispute of others."""
    put(lake)
    assert lines(lake, slice=slice_) == []


@pytest.mark.parametrize("changes", [{"slice": "control"}, {"status": "disputed"}])
def test_control_answers_and_disputes_are_never_shown(lake, changes):
    """What quality is measured with stays unseen, and so does what nobody agreed on."""
    put(lake, **changes)
    assert lines(lake) == []


@pytest.mark.parametrize(("split", "shown"), [("train", 1), ("golden", 0), ("holdout", 0)])
def test_evaluation_sets_stay_unseen(lake, split, shown):
    """A row of the golden set or a holdout would teach the annotators the examination."""
    put(lake)
    row = {"workload_id": WORKLOAD.id, "snapshot": "s", "split": split, "correction_id": "c-i00001"}
    rows = pa.Table.from_pylist([row], schema=TABLES["dataset_rows"].schema)
    lake.append("dataset_rows", rows)
    assert len(lines(lake)) == shown


def test_long_inputs_are_cut_to_one_line(lake):
    """Three lines of neighbors stay three lines."""
    put(lake, input="\n".join([ASKED] * 5), accepted_at=END)
    (line,) = lines(lake)
    assert "\n" not in line
    assert line.endswith("…")

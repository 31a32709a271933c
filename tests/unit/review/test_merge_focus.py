"""A merge reads what changed; whatever it keeps, it comes to what a merge of everything comes to."""

import shutil
from datetime import timedelta

import pyarrow as pa
import pytest

from flywheel.errors import ConcurrencyError
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.review.merging.batch_figures import drop_review_figures
from flywheel.review.merging.collect import collect
from flywheel.review.sampling.batches import sample_batch
from flywheel.review.sampling.sent_items import read_sent
from tests.fakes.exported_judgment import export_judgment
from tests.fakes.review_world import END, START, WEEK, answer, classification, put_answers, truth

pytestmark = pytest.mark.usefixtures("vectors_taken_once")
REVIEW = {"budget": 60, "overlap": 0.0, "label_checks": 0.0, "gold": 0.0}
WORKLOAD = classification(review=REVIEW)
MONTHS = timedelta(days=200)
TOTALS = ("verdicts", "unusable", "unknown_items", "adjudications_waiting", "set_aside")


def sample(lake, queue, week):
    """Send the answers of a week to people."""
    start = START + week * WEEK
    sample_batch(
        lake,
        queue,
        WORKLOAD,
        window_start=start,
        window_end=start + WEEK,
        now=start + WEEK,
        budget=30,
    )


@pytest.fixture
def tasks(lake, queue, desk, filled_once):
    """Let ann judge two weeks of four answers, and settle them; return item ids by inference id."""
    return filled_once("settled", lambda: _settled(lake, queue, desk))


def _settled(lake, queue, desk):
    answers = [answer(number, subject_id=f"p{number}") for number in range(8)]
    for later in answers[4:]:
        later["timestamp"] += WEEK
    put_answers(lake, WORKLOAD, answers)
    sample(lake, queue, 0)
    sample(lake, queue, 1)
    tasks = {task.inference_id: task.item_id for task in desk.open_items(WORKLOAD, "x")}
    for name, item_id in tasks.items():
        desk.submit(WORKLOAD, item_id, "ann", truth(int(name[1:])))
    assert collect(lake, queue, WORKLOAD, now=END).corrections == {"accepted": 8}
    assert not collect(lake, queue, WORKLOAD, now=END).changed
    return tasks


def same_as_merge_of_all(lake, queue, workload=WORKLOAD):
    """Compare a merge with one that keeps nothing, and return its report."""
    kept = collect(lake, queue, workload, now=END)
    drop_review_figures(lake)
    of_all = collect(lake, queue, workload, now=END)
    assert not of_all.changed
    assert {n: getattr(kept, n) for n in TOTALS} == {n: getattr(of_all, n) for n in TOTALS}
    collect(lake, queue, workload, now=END)
    return of_all


def test_a_merge_reads_no_item_that_is_settled(lake, queue, tasks, merge_reads, pushes):
    """However much was judged before, nothing of it is read or pushed again."""
    report = collect(lake, queue, WORKLOAD, now=END + WEEK)
    assert (merge_reads, pushes) == ([], [])
    assert report.verdicts == {"accepted": 8}


def test_new_items_are_read_without_those_before(lake, queue, desk, tasks, merge_reads, pushes):
    """A new batch, and then an answer to it, cost what the batch holds."""
    put_answers(
        lake, WORKLOAD, [answer(9, timestamp=START + 2 * WEEK), answer(10, timestamp=START + 2 * WEEK)],
        offset=100,
    )  # fmt: skip
    sample(lake, queue, 2)
    new = {e.item.item_id for e in read_sent(lake, WORKLOAD.id)} - set(tasks.values())
    assert len(new) == 2
    pushes.clear()
    collect(lake, queue, WORKLOAD, now=END)
    assert merge_reads == [new]
    assert [{item.item_id for item in items} for items in pushes] == [new]
    first = min(new)
    desk.submit(WORKLOAD, first, "ann", truth(0))
    collect(lake, queue, WORKLOAD, now=END)
    assert merge_reads[1:] == [{first}]
    assert [{item.item_id for item in items} for items in pushes[1:]] == [new - {first}]


def test_a_changed_answer_months_later_is_collected(lake, queue, desk, clock, tasks, merge_reads):
    """Its item alone is read again, although it was completed long ago."""
    clock.move_to(END + MONTHS)
    item = tasks["i00002"]
    desk.submit(WORKLOAD, item, "ann", "oil fault")
    report = collect(lake, queue, WORKLOAD, now=clock.now())
    assert merge_reads == [{item}]
    assert report.corrections == {"accepted": 1}
    (row,) = lake.rows("SELECT * FROM latest_corrections WHERE correction_id = ?", [item])
    assert (row["output"], row["version"]) == ('"oil fault"', 2)


def test_a_second_answer_months_later_disputes_what_was_settled(
    lake, queue, desk, clock, tasks, tmp_path
):
    """Another person contradicts a completed item: a third is asked, and decides."""
    clock.move_to(END + MONTHS)
    item = tasks["i00001"]
    export_judgment(tmp_path / "queue", queue, WORKLOAD, item, "ben", truth(2))
    report = collect(lake, queue, WORKLOAD, now=clock.now())
    assert (report.corrections, report.adjudications) == ({"disputed": 1}, 1)
    assert same_as_merge_of_all(lake, queue).verdicts == {"accepted": 7, "disputed": 1}
    desk.submit(WORKLOAD, f"{item}-adjudication", "chi", truth(1))
    assert collect(lake, queue, WORKLOAD, now=clock.now()).corrections == {"accepted": 1}
    assert same_as_merge_of_all(lake, queue).verdicts == {"accepted": 8}


def test_an_item_is_never_sent_twice(lake, queue, desk, tasks):
    """An answer that comes again months later, with another date, is not asked about again."""
    again = [answer(number, timestamp=START + 30 * WEEK) for number in range(8)]
    put_answers(lake, WORKLOAD, again, offset=100, landed_at=END + 30 * WEEK)
    sample(lake, queue, 30)
    collect(lake, queue, WORKLOAD, now=END + 30 * WEEK)
    assert desk.open_items(WORKLOAD, "x") == []
    assert len(read_sent(lake, WORKLOAD.id)) == 8


def test_a_deleted_judgment_withdraws_its_correction(lake, queue, desk, tasks, merge_reads):
    """The item is open again, and is pushed as such."""
    assert desk.withdraw(WORKLOAD, tasks["i00003"], "ann")
    assert collect(lake, queue, WORKLOAD, now=END).corrections == {"withdrawn": 1}
    assert merge_reads[-1] == {tasks["i00003"]}
    assert same_as_merge_of_all(lake, queue).verdicts == {"accepted": 7, "open": 1}


def test_a_dispute_that_waits_for_budget_is_sent_once_there_is_some(lake, queue, tasks, tmp_path):
    """It is not settled while it waits, also where nothing else changes."""
    poor = classification(review=REVIEW | {"budget": 8})
    for name in ("i00001", "i00002"):
        said = truth(int(name[1:]) + 1)
        export_judgment(tmp_path / "queue", queue, poor, tasks[name], "ben", said)
    assert collect(lake, queue, poor, now=END).adjudications_waiting == 2
    assert collect(lake, queue, poor, now=END).adjudications_waiting == 2
    assert collect(lake, queue, WORKLOAD, now=END).adjudications == 2


def test_a_merge_that_was_cut_off_is_made_up_for(lake, queue, desk, tasks, monkeypatch):
    """Nothing counts as settled before its correction is written."""
    desk.submit(WORKLOAD, tasks["i00001"], "ann", "heat fault")

    append = lake.append
    with monkeypatch.context() as patch:
        patch.setattr(lake, "append", lambda *a, **k: a[0] != "corrections" and append(*a, **k))
        with pytest.raises(ConcurrencyError):
            collect(lake, queue, WORKLOAD, now=END)
    assert collect(lake, queue, WORKLOAD, now=END).corrections == {"accepted": 1}


def test_what_is_erased_is_neither_counted_nor_merged(lake, queue, tasks):
    """An erased person's item leaves the verdicts, and its correction is not withdrawn."""
    erasure = [{"workload_id": None, "subject_id": "p2", "requested_at": END}]
    lake.append("erasures", pa.Table.from_pylist(erasure, schema=TABLES["erasures"].schema))
    assert not collect(lake, queue, WORKLOAD, now=END).corrections
    assert same_as_merge_of_all(lake, queue).verdicts == {"accepted": 7}


def test_a_restored_lake_gets_its_corrections_back(tmp_path, lake, queue, desk, tasks):
    """What was settled in a state that the backup has not is worked out again."""
    shutil.copytree(tmp_path / "lake", tmp_path / "backup")
    desk.submit(WORKLOAD, tasks["i00001"], "ann", "heat fault")
    collect(lake, queue, WORKLOAD, now=END)
    collect(lake, queue, WORKLOAD, now=END)
    shutil.copytree(tmp_path / "lake/review_figures", tmp_path / "backup/review_figures",
                    dirs_exist_ok=True)  # fmt: skip
    restored = Lake(tmp_path / "backup")
    assert collect(restored, queue, WORKLOAD, now=END).corrections == {"accepted": 1}
    assert not collect(restored, queue, WORKLOAD, now=END).changed
    restored.close()


def test_another_taxonomy_has_every_item_merged_again(lake, queue, tasks, merge_reads):
    """Under a label that was merged into another, every answer is read under the present one."""
    names = {"oil": "oil fault", "noise": "noise fault"}
    labels = [{"id": key, "name": name} for key, name in names.items()]
    labels.append({"id": "heat", "name": "heat fault", "retired": 2, "merged_into": "noise"})
    merged = classification(review=REVIEW, taxonomy={"version": 2, "labels": labels})
    collect(lake, queue, merged, now=END)
    assert merge_reads == [set(tasks.values())]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"{}"])
def test_a_damaged_record_is_made_again(lake, queue, tasks, content):
    """What cannot be read costs a merge of everything."""
    for path in (lake.location.local / "review_figures").iterdir():
        path.write_bytes(content)
    report = collect(lake, queue, WORKLOAD, now=END)
    assert (report.changed, report.verdicts) == (False, {"accepted": 8})

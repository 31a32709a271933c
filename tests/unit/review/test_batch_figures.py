"""Figures of judgments that are kept by batch, against a count of all judgments."""

import shutil
from datetime import timedelta

import pyarrow as pa
import pytest

from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.review.merging import agreement, annotator_figures, batch_figures
from flywheel.review.merging.collect import collect
from flywheel.review.sampling.batches import sample_batch
from tests.fakes.review_world import END, START, WEEK, answer, classification, put_answers, truth

pytestmark = pytest.mark.usefixtures("vectors_taken_once")
WORKLOAD = classification(review={"budget": 60, "overlap": 1.0})
FILES = [
    f"{batch_figures.REVIEW_FIGURES_FOLDER}/{name}_defects.json"
    for name in ("agreement", "annotators")
]


def measured(lake, workload=WORKLOAD):
    """Return agreement and the figures of each person."""
    return (
        agreement.review_agreement(lake, workload),
        annotator_figures.annotator_figures(lake, workload),
    )


def check(lake, workload=WORKLOAD):
    """Compare what is kept with a count of all, whose result is kept afterwards; return it."""
    by_batch = measured(lake, workload)
    for name in FILES:
        (lake.location.local / name).unlink()
    of_all = measured(lake, workload)
    assert by_batch == of_all
    return of_all


@pytest.fixture
def tasks(lake, queue, desk, filled_once):
    """Ask two people about two weeks of four answers; return item ids by inference id."""
    return filled_once("judged", lambda: _judged(lake, queue, desk))


def _judged(lake, queue, desk):
    answers = [answer(number, subject_id=f"p{number}") for number in range(8)]
    for later in answers[4:]:
        later["timestamp"] += WEEK
    put_answers(lake, WORKLOAD, answers)
    for start in (START, START + WEEK):
        end = start + WEEK
        sample_batch(lake, queue, WORKLOAD, window_start=start, window_end=end, now=end, budget=30)
    tasks = {task.inference_id: task.item_id for task in desk.open_items(WORKLOAD, "x")}
    for number, name in enumerate(sorted(tasks)):
        desk.submit(WORKLOAD, tasks[name], "ann", truth(int(name[1:])), seconds=5 + number)
    collect(lake, queue, WORKLOAD, now=END)
    check(lake)
    return tasks


def test_late_judgments_and_adjudications_are_counted(lake, queue, desk, clock, tasks):
    """What comes later to a batch changes its figures as a count of all has them."""
    before = measured(lake)
    clock.move_to(END + timedelta(days=40))
    desk.submit(WORKLOAD, tasks["i00001"], "ben", "heat fault")
    desk.submit(WORKLOAD, tasks["i00005"], "ben", truth(5))
    desk.submit(WORKLOAD, tasks["i00006"], "ben", kind="skipped")
    collect(lake, queue, WORKLOAD, now=clock.now())
    disputed = check(lake)
    assert disputed != before
    desk.submit(WORKLOAD, f"{tasks['i00001']}-adjudication", "chi", truth(1))
    collect(lake, queue, WORKLOAD, now=clock.now())
    assert check(lake)[1] != disputed[1]


def test_only_batches_that_changed_are_counted_again(lake, queue, desk, monkeypatch, tasks):
    """A judgment has its own batch read again, and none other."""
    read = []
    kept = batch_figures.figures_by_batch

    def record(lake, workload, name, count):
        def counting(items):
            read.append(sorted(set(items.values())))
            return count(items)

        return kept(lake, workload, name, counting)

    monkeypatch.setattr(agreement, "figures_by_batch", record)
    monkeypatch.setattr(annotator_figures, "figures_by_batch", record)
    measured(lake)
    assert read == []
    desk.submit(WORKLOAD, tasks["i00005"], "ben", truth(5))
    collect(lake, queue, WORKLOAD, now=END)
    measured(lake)
    assert read == [["2026Q1-20260108"]] * 2


def test_judgments_are_summed_once_for_all_figures(lake, queue, desk, monkeypatch, tasks):
    """Until something is written, by whichever process, no figure looks at all of them again."""
    sums = []
    rows = lake.rows

    def record(sql, *arguments, **options):
        if "fingerprint" in sql:
            sums.append(sql)
        return rows(sql, *arguments, **options)

    monkeypatch.setattr(lake, "rows", record)
    before = measured(lake)
    assert measured(lake) == before
    assert len(sums) <= 1
    desk.submit(WORKLOAD, tasks["i00005"], "ben", truth(5))
    other = Lake(lake.root)
    collect(other, queue, WORKLOAD, now=END)
    other.close()
    sums.clear()
    assert measured(lake) != before
    assert len(sums) == 1


def test_an_erased_person_leaves_the_figures(lake, tasks):
    """What was said of an erased person's answer is counted no more."""
    before = measured(lake)
    erasure = [{"workload_id": None, "subject_id": "p2", "requested_at": END}]
    lake.append("erasures", pa.Table.from_pylist(erasure, schema=TABLES["erasures"].schema))
    assert check(lake) != before


def test_a_restored_lake_is_counted_as_it_is(tmp_path, lake, queue, desk, tasks):
    """Figures of judgments that a restored backup does not have are not used."""
    before = measured(lake)
    shutil.copytree(tmp_path / "lake", tmp_path / "backup")
    desk.submit(WORKLOAD, tasks["i00001"], "ben", "heat fault")
    collect(lake, queue, WORKLOAD, now=END)
    assert measured(lake) != before
    for name in FILES:
        shutil.copy(tmp_path / "lake" / name, tmp_path / "backup" / name)
    restored = Lake(tmp_path / "backup")
    assert measured(restored) == before
    restored.close()


@pytest.mark.parametrize("content", [b"", b"{", b'{"basis": 1}', b"[]"])
def test_a_damaged_file_is_made_again(lake, tasks, content):
    """What cannot be read is counted again."""
    before = measured(lake)
    for name in FILES:
        (lake.location.local / name).write_bytes(content)
    assert check(lake) == before


def test_another_revision_of_the_workload_counts_anew(lake, queue, desk, tasks):
    """Under a taxonomy that merges two labels, who disputed about them agrees."""
    desk.submit(WORKLOAD, tasks["i00001"], "ben", "heat fault")
    collect(lake, queue, WORKLOAD, now=END)
    before = measured(lake)
    names = {"oil": "oil fault", "noise": "noise fault"}
    labels = [{"id": key, "name": name} for key, name in names.items()]
    labels.append({"id": "heat", "name": "heat fault", "retired": 2, "merged_into": "noise"})
    merged = classification(
        review={"budget": 60, "overlap": 1.0}, taxonomy={"version": 2, "labels": labels}
    )
    assert check(lake, merged) != before


def test_no_answer_stands_in_what_is_kept_and_an_erasure_drops_it(lake, queue, desk, tasks):
    """Digests of answers are kept, which an erasure removes, whatever they are of."""
    desk.submit(WORKLOAD, tasks["i00001"], "ben", "heat fault")
    collect(lake, queue, WORKLOAD, now=END)
    measured(lake)
    content = "".join((lake.location.local / name).read_text() for name in FILES)
    assert "ben" in content
    assert "fault" not in content
    batch_figures.drop_review_figures(lake)
    assert not any((lake.location.local / name).exists() for name in FILES)

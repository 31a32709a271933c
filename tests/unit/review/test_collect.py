from datetime import timedelta
from typing import Any

import pytest

from flywheel.errors import ConcurrencyError, UnavailableError
from flywheel.review.merging.annotations import read_annotations
from flywheel.review.merging.collect import collect
from flywheel.review.sampling.batches import sample_batch
from flywheel.review.sampling.sent_items import read_sent, spending
from tests.fakes.exported_judgment import export_judgment
from tests.fakes.review_world import (
    END,
    START,
    answer,
    classification,
    correction,
    extraction,
    put_answers,
    put_corrections,
    text,
    truth,
)

pytestmark = pytest.mark.usefixtures("vectors_taken_once")


@pytest.fixture
def world(lake, queue, desk, filled_once):
    """Put one batch of items that two people judge into the queue."""
    return filled_once("world", lambda: make_world(lake, queue, desk))


def make_world(lake, queue, desk, *, overlap=1.0, count=4, workload=None):
    """Return the workload and its open tasks, by inference id."""
    workload = workload or classification(review={"budget": 60, "overlap": overlap})
    put_answers(lake, workload, [answer(number) for number in range(count)])
    sample_batch(lake, queue, workload, window_start=START, window_end=END, now=END, budget=60)
    tasks = {task.inference_id: task.item_id for task in desk.open_items(workload, "x")}
    assert len(tasks) == count
    return workload, tasks


def latest(lake, workload, item_id):
    """Return the latest row of a correction, None where there is none."""
    rows = lake.rows("SELECT * FROM latest_corrections WHERE correction_id = ?", [item_id])
    return rows[0] if rows else None


def test_agreement_becomes_truth_with_its_provenance(lake, queue, desk, world):
    """An agreed answer is accepted and keeps people, annotations, original and taxonomy."""
    workload, tasks = world
    key = tasks["i00000"]  # the model was wrong here
    first = desk.submit(workload, key, "ann", truth(0))
    second = desk.submit(workload, key, "ben", truth(0))
    report = collect(lake, queue, workload, now=END)
    row = latest(lake, workload, key)
    assert report.corrections == {"accepted": 1}
    assert (row["status"], row["output"], row["label_id"]) == ("accepted", '"oil fault"', "oil")
    assert row["original_output"] == '"noise fault"'
    assert row["original_release"] == "base"
    assert row["annotators"] == ["ann", "ben"]
    assert row["annotation_ids"] == [first.annotation_id, second.annotation_id]
    assert (row["taxonomy_version"], row["version"], row["simulated"]) == (1, 1, False)
    assert row["event_time"] == START


def test_merge_twice_changes_nothing(lake, queue, desk, world):
    """The second merge of the same state writes no row."""
    workload, tasks = world
    for key in tasks.values():
        desk.submit(workload, key, "ann", truth(1))
        desk.submit(workload, key, "ben", truth(2))
    assert collect(lake, queue, workload, now=END).changed
    before = lake.rows("SELECT count(*) AS n FROM corrections")[0]["n"]
    again = collect(lake, queue, workload, now=END + timedelta(days=1))
    assert not again.changed
    assert lake.rows("SELECT count(*) AS n FROM corrections")[0]["n"] == before
    assert lake.rows("SELECT count(*) AS n FROM review_items WHERE slice='adjudication'")[0] == {
        "n": 4
    }


def test_one_of_two_judgments_is_no_truth_yet(lake, queue, desk, world):
    """An item that wants two judgments waits for the second."""
    workload, tasks = world
    desk.submit(workload, tasks["i00001"], "ann", truth(1))
    report = collect(lake, queue, workload, now=END)
    assert report.corrections == {}
    assert report.verdicts == {"open": 4}


def test_disagreement_goes_to_a_third_person_who_decides(lake, queue, desk, world):
    """A dispute is no truth; another person's answer settles it and counts in the budget."""
    workload, tasks = world
    key = tasks["i00001"]
    desk.submit(workload, key, "ann", "oil fault")
    desk.submit(workload, key, "ben", "heat fault")
    report = collect(lake, queue, workload, now=END)
    assert (report.corrections, report.adjudications) == ({"disputed": 1}, 1)
    assert report.unusable == 0
    assert latest(lake, workload, key)["output"] is None
    asked = {task.inference_id for task in desk.open_items(workload, "ann")}
    assert "i00001" not in asked
    (task,) = [t for t in desk.open_items(workload, "cleo") if t.slice == "adjudication"]
    assert "oil" not in task.reason
    desk.submit(workload, task.item_id, "cleo", "heat fault")
    assert collect(lake, queue, workload, now=END).unusable == 0
    row = latest(lake, workload, key)
    assert (row["status"], row["output"], row["version"]) == ("accepted", '"heat fault"', 2)
    assert row["annotators"] == ["ann", "ben", "cleo"]


def test_adjudicator_who_cannot_tell_leaves_the_dispute(lake, queue, desk, world):
    """Then nothing is truth, and nobody else is asked again."""
    workload, tasks = world
    key = tasks["i00001"]
    desk.submit(workload, key, "ann", "oil fault")
    desk.submit(workload, key, "ben", "heat fault")
    collect(lake, queue, workload, now=END)
    desk.submit(workload, f"{key}-adjudication", "cleo", kind="cant_tell")
    assert collect(lake, queue, workload, now=END).adjudications == 0
    assert latest(lake, workload, key)["status"] == "disputed"


def test_reserve_comes_back_when_nobody_can_tell(lake, queue, desk, world):
    """Two who agree that they cannot tell dispute nothing: the adjudication is not needed."""
    workload, tasks = world
    assert spending(lake, workload.id, "2026Q1").held_back == len(tasks)
    desk.submit(workload, tasks["i00001"], "ann", kind="cant_tell")
    collect(lake, queue, workload, now=END)
    assert spending(lake, workload.id, "2026Q1").held_back == len(tasks)
    desk.submit(workload, tasks["i00001"], "ben", kind="cant_tell")
    collect(lake, queue, workload, now=END)
    assert spending(lake, workload.id, "2026Q1").held_back == len(tasks) - 1
    desk.submit(workload, tasks["i00002"], "ann", kind="cant_tell")
    desk.submit(workload, tasks["i00002"], "ben", truth(2))
    collect(lake, queue, workload, now=END)
    used = spending(lake, workload.id, "2026Q1")  # asked for now, where it was held back before
    assert (used.sent, used.held_back) == (2 * len(tasks) + 1, len(tasks) - 2)


def test_adjudication_waits_where_the_budget_is_spent(lake, queue, desk, world):
    """A dispute that the period cannot pay for stays disputed and is reported as waiting."""
    workload, tasks = world
    for name, said in (("ann", "oil fault"), ("ben", "heat fault")):
        desk.submit(workload, tasks["i00001"], name, said)
    poor = classification(review={"budget": 8, "overlap": 1.0})
    report = collect(lake, queue, poor, now=END)
    assert (report.adjudications, report.adjudications_waiting) == (0, 1)
    assert collect(lake, queue, workload, now=END).adjudications == 1


def test_adjudication_of_a_control_item_hides_the_answer_too(lake, queue, desk):
    """The figure from the control slice stays blind to the end."""
    workload, tasks = make_world(
        lake,
        queue,
        desk,
        workload=classification(
            review={
                "overlap": 1.0,
                "shares": {"control": 1.0, "uncertain": 0, "novel": 0, "flagged": 0},
            }
        ),
    )
    desk.submit(workload, tasks["i00001"], "ann", "oil fault")
    desk.submit(workload, tasks["i00001"], "ben", "heat fault")
    collect(lake, queue, workload, now=END)
    task = desk.open_items(workload, "cleo")[0]
    assert task.slice == "adjudication"
    assert task.suggestion is None
    assert task.confidence is None


def test_nobody_can_tell_is_recorded_and_no_truth(lake, queue, desk, world):
    """The annotations are kept; there is no correction."""
    workload, tasks = world
    desk.submit(workload, tasks["i00001"], "ann", kind="cant_tell")
    desk.submit(workload, tasks["i00001"], "ben", kind="cant_tell")
    report = collect(lake, queue, workload, now=END)
    assert (report.annotations, report.corrections) == (2, {})
    assert report.verdicts == {"open": 3, "cant_tell": 1}
    assert {a.kind for a in read_annotations(lake, workload.id)} == {"cant_tell"}


def with_label(workload, *, version=2, **label):
    """Return the workload with one more label."""
    raw = workload.model_dump(mode="json", by_alias=True)
    raw["taxonomy"]["version"] = version
    raw["taxonomy"]["labels"].append({"added": version} | label)
    return classification(**raw)


def test_new_category_is_truth_once_the_taxonomy_has_it(lake, queue, desk, world):
    """A proposal waits under its name and is accepted by itself when the label appears."""
    workload, tasks = world
    key = tasks["i00001"]
    desk.submit(workload, key, "ann", kind="new_category", proposed_label="Battery Swelling")
    desk.submit(workload, key, "ben", kind="new_category", proposed_label="battery swelling")
    assert collect(lake, queue, workload, now=END).corrections == {"proposed": 1}
    row = latest(lake, workload, key)
    assert (row["proposed_label"], row["output"]) == ("Battery Swelling", None)

    one_name = with_label(
        workload, id="battery", name="battery swelling", former_names=["Battery Swelling"]
    )
    assert collect(lake, queue, one_name, now=END).corrections == {"accepted": 1}
    row = latest(lake, workload, key)
    assert (row["output"], row["label_id"], row["taxonomy_version"]) == (
        '"battery swelling"',
        "battery",
        2,
    )


def test_answer_with_an_unknown_name_is_no_judgment(lake, queue, world, tmp_path):
    """A label that no version of the taxonomy knows was never offered: it is set aside by author."""
    workload, tasks = world
    for name in ("ann", "ben"):
        export_judgment(tmp_path / "queue", queue, workload, tasks["i00001"], name, "odour")
    report = collect(lake, queue, workload, now=END)
    assert report.corrections == {}
    assert [one.author for one in report.set_aside] == ["ann", "ben"]


def test_renamed_and_merged_labels_agree_with_their_heirs(lake, queue, desk, world):
    """Two names of one label are no disagreement, and the correction speaks the present name."""
    workload, tasks = world
    raw = workload.model_dump(mode="json", by_alias=True)
    raw["taxonomy"] = {
        "version": 2,
        "labels": [
            {"id": "oil", "name": "fluid leak", "former_names": ["oil fault"]},
            {"id": "noise", "name": "noise fault"},
            {"id": "heat", "name": "heat fault"},
            {"id": "drip", "name": "dripping", "retired": 2, "merged_into": "oil"},
        ],
    }
    later = classification(**raw)
    desk.submit(later, tasks["i00001"], "ann", "oil fault")
    desk.submit(later, tasks["i00001"], "ben", "dripping")
    assert collect(lake, queue, later, now=END).corrections == {"accepted": 1}
    row = latest(lake, workload, tasks["i00001"])
    assert (row["output"], row["label_id"]) == ('"fluid leak"', "oil")


def test_edit_makes_a_new_version_and_keeps_the_old_one(lake, queue, desk, clock, world):
    """An annotator who changes their mind changes the correction; both versions stay."""
    workload, tasks = world
    key = tasks["i00001"]
    for name in ("ann", "ben"):
        desk.submit(workload, key, name, "oil fault")
    collect(lake, queue, workload, now=END)
    clock.move_to(END + timedelta(hours=1))
    for name in ("ann", "ben"):
        desk.submit(workload, key, name, "heat fault")
    report = collect(lake, queue, workload, now=clock.now())
    assert (report.annotations, report.corrections) == (2, {"accepted": 1})
    assert latest(lake, workload, key)["output"] == '"heat fault"'
    versions = lake.rows("SELECT output FROM corrections ORDER BY version")
    assert [row["output"] for row in versions] == ['"oil fault"', '"heat fault"']
    assert len(lake.rows("SELECT * FROM annotations")) == 4


def test_edit_within_the_same_instant_counts(lake, queue, desk, world):
    """A clock that stands still does not lose the second version."""
    workload, tasks = world
    desk.submit(workload, tasks["i00001"], "ann", "oil fault")
    desk.submit(workload, tasks["i00001"], "ann", "heat fault")
    collect(lake, queue, workload, now=END)
    assert [a.output for a in read_annotations(lake, workload.id)] == ["heat fault"]


def test_deletion_withdraws_the_correction(lake, queue, desk, world):
    """Without its judgments a correction is no truth any more."""
    workload, tasks = world
    key = tasks["i00001"]
    for name in ("ann", "ben"):
        desk.submit(workload, key, name, "oil fault")
    collect(lake, queue, workload, now=END)
    assert desk.withdraw(workload, key, "ben")
    assert collect(lake, queue, workload, now=END).corrections == {"withdrawn": 1}
    assert not collect(lake, queue, workload, now=END).changed
    desk.submit(workload, key, "ben", "oil fault")
    collect(lake, queue, workload, now=END)
    row = latest(lake, workload, key)
    assert (row["status"], row["version"]) == ("accepted", 3)


def test_skipped_items_wait_for_somebody_else(lake, queue, desk, world):
    """A skip is no judgment."""
    workload, tasks = world
    desk.submit(workload, tasks["i00001"], "ann", kind="skipped")
    desk.submit(workload, tasks["i00001"], "ben", "oil fault")
    assert collect(lake, queue, workload, now=END).verdicts == {"open": 4}
    desk.submit(workload, tasks["i00001"], "cleo", "oil fault")
    assert collect(lake, queue, workload, now=END).corrections == {"accepted": 1}


def test_answer_that_breaks_the_schema_is_counted_and_not_used(lake, queue, desk, tmp_path):
    """An incomplete answer is reported, never accepted."""
    workload = extraction(review={"overlap": 0.0})
    rows = [answer(0, output={"category": "oil fault", "urgency": "low"})]
    put_answers(lake, workload, rows)
    sample_batch(lake, queue, workload, window_start=START, window_end=END, now=END, budget=1)
    (task,) = desk.open_items(workload, "ann")
    output = {"category": "oil fault"}
    export_judgment(tmp_path / "queue", queue, workload, task.item_id, "ann", output)
    report = collect(lake, queue, workload, now=END)
    assert (report.unusable, report.corrections) == (1, {})


def test_proposal_in_an_extraction_keeps_the_other_fields(lake, queue, desk):
    """When the label appears the rest of the answer is still there."""
    workload = extraction(review={"overlap": 0.0})
    rows = [answer(0, output={"category": "oil fault", "urgency": "low"})]
    put_answers(lake, workload, rows)
    sample_batch(lake, queue, workload, window_start=START, window_end=END, now=END, budget=1)
    (task,) = desk.open_items(workload, "ann")
    desk.submit(
        workload,
        task.item_id,
        "ann",
        {"urgency": "high"},
        kind="new_category",
        proposed_label="smell",
    )
    collect(lake, queue, workload, now=END)
    raw = workload.model_dump(mode="json", by_alias=True)
    raw["taxonomy"]["labels"].append({"id": "smell", "name": "smell"})
    collect(lake, queue, extraction(**raw), now=END)
    row = latest(lake, workload, task.item_id)
    assert row["output"] == '{"category":"smell","urgency":"high"}'


def test_simulated_judgments_say_so_in_annotations_and_corrections(lake, queue, desk, world):
    """One simulated judge is enough to mark the correction."""
    workload, tasks = world
    desk.submit(workload, tasks["i00001"], "simulated:ann", "oil fault")
    desk.submit(workload, tasks["i00001"], "ben", "oil fault")
    collect(lake, queue, workload, now=END)
    assert latest(lake, workload, tasks["i00001"])["simulated"]
    marks = {a.annotator: a.simulated for a in read_annotations(lake, workload.id)}
    assert marks == {"simulated:ann": True, "ben": False}


def test_of_two_racing_merges_one_writes(lake, queue, desk, world, tmp_path, monkeypatch):
    """A merge that read before another one wrote is refused and can be repeated."""
    from flywheel.lake.store import Lake
    from flywheel.review.merging import collect as module

    workload, tasks = world
    for name in ("ann", "ben"):
        desk.submit(workload, tasks["i00001"], name, "oil fault")
    other = Lake(tmp_path / "lake")
    merge = module.merge_annotations

    def overtaken(*arguments):
        monkeypatch.setattr(module, "merge_annotations", merge)
        collect(other, queue, workload, now=END)
        return merge(*arguments)

    monkeypatch.setattr(module, "merge_annotations", overtaken)
    with pytest.raises(ConcurrencyError):
        collect(lake, queue, workload, now=END)
    assert not collect(lake, queue, workload, now=END).changed
    assert len(lake.rows("SELECT * FROM corrections")) == 1
    other.close()


def test_contradiction_of_an_accepted_answer_is_decided_by_another_person(lake, queue, desk, world):
    """Where the seed says something else about the same input, the item is asked about again."""
    workload, tasks = world
    asked = desk.open_items(workload, "ann")
    number = next(int(task.inference_id[1:]) for task in asked if task.slice != "control")
    key = tasks[f"i{number:05d}"]
    seed = correction(1, inference_id=None, correction_id="s1", source="seed", slice="seed")
    put_corrections(lake, workload, [seed | {"input": text(number).upper(), "output": "oil fault"}])
    for name in ("ann", "ben"):
        desk.submit(workload, key, name, "heat fault")
    report = collect(lake, queue, workload, now=END)
    assert (report.corrections, report.adjudications) == ({"accepted": 1}, 1)
    assert not collect(lake, queue, workload, now=END).changed
    desk.submit(workload, f"{key}-adjudication", "cleo", "oil fault")
    collect(lake, queue, workload, now=END)
    assert latest(lake, workload, key)["output"] == '"oil fault"'
    assert not collect(lake, queue, workload, now=END).changed


class CutOff:
    """A lake whose process dies right before or right after one append."""

    def __init__(self, lake, table, *, after) -> None:
        self._lake, self._table, self._after = lake, table, after

    def __getattr__(self, name) -> Any:
        return getattr(self._lake, name)

    def append(self, table, rows, **options):
        """Write, and die where it was asked for."""
        if table == self._table and not self._after:
            raise UnavailableError("killed")
        done = self._lake.append(table, rows, **options)
        if table == self._table:
            raise UnavailableError("killed")
        return done


def state_of(lake):
    """Return what the merge decided, times aside."""
    corrections = lake.rows(
        "SELECT correction_id, version, status, output, annotators FROM corrections ORDER BY ALL"
    )
    items = lake.rows("SELECT item_id, slice FROM review_items ORDER BY ALL")
    return corrections, items, lake.rows("SELECT annotation_id FROM annotations ORDER BY ALL")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("table", ["annotations", "corrections", "review_items"])
def test_merge_that_was_killed_is_finished_by_the_next(lake, queue, desk, world, table, after):
    """Wherever a merge dies, the next one leaves the same state as an undisturbed one."""
    workload, tasks = world
    for name, said in (("ann", "oil fault"), ("ben", "heat fault")):
        desk.submit(workload, tasks["i00001"], name, said)
        desk.submit(workload, tasks["i00002"], name, "oil fault")
    with pytest.raises(UnavailableError):
        collect(CutOff(lake, table, after=after), queue, workload, now=END)
    collect(lake, queue, workload, now=END)
    corrections, items, annotations = state_of(lake)
    assert {(row["status"], row["version"]) for row in corrections} == {
        ("disputed", 1),
        ("accepted", 1),
    }
    assert (len(corrections), len(annotations)) == (2, 4)
    assert [row["slice"] for row in items].count("adjudication") == 1
    assert "adjudication" in {t.slice for t in desk.open_items(workload, "cleo")}
    assert not collect(lake, queue, workload, now=END).changed


def test_only_the_first_call_of_a_day_asks_for_everything(lake, queue, desk, world, monkeypatch):
    """Later calls ask for what changed, and a day later everything is looked at again."""
    workload, tasks = world
    asked = []
    pull = queue.pull
    monkeypatch.setattr(queue, "pull", lambda w, cursor: asked.append(cursor) or pull(w, cursor))
    desk.submit(workload, tasks["i00000"], "ann", truth(0))
    for hours in (0, 1, 2, 24, 25):
        collect(lake, queue, workload, now=END + timedelta(hours=hours))
    assert [cursor is None for cursor in asked] == [True, False, False, True, False]


def test_nobody_adjudicates_a_dispute_of_their_own(lake, queue, desk, world, tmp_path):
    """A decision by a party of the dispute counts as unusable, and the dispute stays."""
    workload, tasks = world
    key = tasks["i00000"]
    desk.submit(workload, key, "ann", truth(0))
    desk.submit(workload, key, "ben", truth(1))
    collect(lake, queue, workload, now=END)
    # Every desk refuses this, a page of Label Studio does not: its export brings the judgment.
    second = f"{key}-adjudication"
    export_judgment(tmp_path / "queue", queue, workload, second, "ben", truth(1))
    report = collect(lake, queue, workload, now=END)
    assert (report.unusable, report.verdicts["disputed"]) == (1, 1)
    assert latest(lake, workload, key)["status"] == "disputed"


def test_what_is_pushed_is_what_the_lake_holds_of_open_items(lake, queue, desk, world, pushes):
    """A merge that asks a third person pushes that, and what nobody has answered yet."""
    workload, tasks = world
    desk.submit(workload, tasks["i00001"], "ann", "oil fault")
    desk.submit(workload, tasks["i00001"], "ben", "heat fault")
    assert collect(lake, queue, workload, now=END).adjudications == 1
    sent = [entry.item for entry in read_sent(lake, workload.id)]
    assert pushes == [[item for item in sent if item.item_id != tasks["i00001"]]]

import json
from dataclasses import replace
from pathlib import Path

import pytest

from flywheel.errors import DataError, NotFoundError
from flywheel.review.merging.people_of_export import with_people
from flywheel.review.queues.label_studio_format import annotation_from, result_of, task_of
from tests.fakes.review_items import review_item
from tests.fakes.review_world import END, classification, extraction

EXPORT = Path(__file__).parent / "data" / "label_studio_export.json"


@pytest.fixture
def exported():
    """Return the tasks of the export, free to change."""
    return json.loads(EXPORT.read_text())


def take(queue, tmp_path, tasks, **options):
    """Take an export of these tasks in."""
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks))
    return queue.take_export(extraction(), path, **options)


def pulled(queue):
    """Return the annotations that a pull gives, by id."""
    return {one.annotation_id: one for one in queue.pull(extraction(), None).annotations}


def test_export_is_read_as_it_is(queue):
    """Every annotation of the project arrives; drafts and tasks of others do not."""
    report = queue.take_export(extraction(), EXPORT)
    assert (report.tasks, report.foreign_tasks, report.added) == (2, 1, 4)
    found = pulled(queue)
    assert set(found) == {f"label_studio:4:{number}" for number in (71, 72, 73, 74)}
    first = found["label_studio:4:71"]
    assert first.output == {
        "category": "oil fault",
        "urgency": "high",
        "count": 3,
        "stopped": True,
        "note": "drips near the seal",
    }
    assert (first.annotator, first.kind, first.seconds) == ("ann@plant.example", "answer", 12.5)
    assert (first.item_id, first.inference_id) == ("a" * 20, "i00000")
    assert not first.simulated
    assert first.updated_at.isoformat() == "2026-01-09T10:05:00.654321+00:00"
    assert first.raw["unique_id"] == "6f4c2c53-51b0-4c8a-9c6d-0f3f5d1f7c01"


def test_answers_that_are_no_answers_have_their_kind(queue):
    """Can't tell, skipped and a new category are told apart; a bare number is its person's address."""
    queue.take_export(extraction(), EXPORT)
    found = pulled(queue)
    assert found["label_studio:4:72"].kind == "cant_tell"
    assert found["label_studio:4:72"].annotator == "ben@plant.example"
    assert found["label_studio:4:73"].kind == "skipped"
    new = found["label_studio:4:74"]
    assert (new.kind, new.proposed_label) == ("new_category", "battery swelling")
    assert new.output == {"urgency": "high"}


def test_same_export_again_changes_nothing(queue):
    """A second pull of one file adds no version."""
    queue.take_export(extraction(), EXPORT)
    report = queue.take_export(extraction(), EXPORT)
    assert (report.added, report.edited, report.deleted, report.unchanged) == (0, 0, 0, 4)


def test_edit_gives_a_new_version(queue, tmp_path, exported):
    """A later export with another answer replaces the annotation under its id."""
    queue.take_export(extraction(), EXPORT)
    before = pulled(queue)["label_studio:4:71"]
    annotation = exported[0]["annotations"][0]
    annotation["result"][0]["value"]["choices"] = ["heat fault"]
    annotation["updated_at"] = "2026-01-10T08:00:00.000000Z"
    assert take(queue, tmp_path, exported).edited == 1
    after = pulled(queue)["label_studio:4:71"]
    assert after.output["category"] == "heat fault"
    assert after.version > before.version


def test_older_export_does_not_undo_a_newer_one(queue, tmp_path, exported):
    """The version that was changed last counts, whichever file comes last."""
    annotation = exported[0]["annotations"][0]
    annotation["updated_at"] = "2026-01-10T08:00:00.000000Z"
    annotation["result"][0]["value"]["choices"] = ["heat fault"]
    take(queue, tmp_path, exported)
    queue.take_export(extraction(), EXPORT)
    assert pulled(queue)["label_studio:4:71"].output["category"] == "heat fault"


def test_what_a_full_export_lacks_was_deleted(queue, tmp_path, exported):
    """Missing annotations and tasks are deletions, unless the file is said to be partial."""
    queue.take_export(extraction(), EXPORT)
    shorter = [exported[0] | {"annotations": exported[0]["annotations"][:1]}]
    assert take(queue, tmp_path, shorter, full=False).deleted == 0
    assert take(queue, tmp_path, shorter).deleted == 3
    found = pulled(queue)
    assert {key for key, one in found.items() if one.deleted} == {
        f"label_studio:4:{number}" for number in (72, 73, 74)
    }
    assert take(queue, tmp_path, shorter).deleted == 0


def test_export_leaves_local_answers_and_other_projects_alone(queue, desk, tmp_path, exported):
    """Only the exported project's own annotations can be deleted by its absence."""
    queue.take_export(extraction(), EXPORT)
    desk.submit(extraction(), "b" * 20, "ben@plant.example", kind="cant_tell")
    other = json.loads(json.dumps(exported[:1]))
    other[0]["project"] = 5
    for annotation in other[0]["annotations"]:
        annotation["project"] = 5
    take(queue, tmp_path, other)
    assert not any(one.deleted for one in pulled(queue).values())
    assert len(pulled(queue)) == 7


def test_pushed_task_survives_the_way_through_label_studio(queue, desk, tmp_path, exported):
    """A local task keeps its own judgments when the project that it was imported into comes back."""
    workload = extraction()
    item = replace(review_item(workload), item_id="a" * 20, inference_id="i00000", judgments=3)
    queue.push(workload, [item])
    desk.submit(workload, "a" * 20, "dov", {"category": "oil fault", "urgency": "low"})
    take(queue, tmp_path, exported)
    status = queue.status(workload)
    assert (status.items, status.judgments_given) == (2, 4)
    assert "a" * 20 not in {task.item_id for task in desk.open_items(workload, "eve")}


def test_files_that_are_no_export_are_refused(queue, tmp_path, exported):
    """Another format or another project is an error, and nothing is stored."""
    path = tmp_path / "x.json"
    with pytest.raises(NotFoundError):
        queue.take_export(extraction(), path)
    for content in ("{", '{"a": 1}', '[{"text": "JSON-MIN"}]', json.dumps(exported[2:])):
        path.write_text(content)
        with pytest.raises(DataError):
            queue.take_export(extraction(), path)


def test_damaged_annotation_is_named(queue, tmp_path, exported):
    """An annotation without its times is set aside by name, and the others come in."""
    for name in ("created_at", "updated_at"):
        del exported[1]["annotations"][0][name]
    report = take(queue, tmp_path, exported)
    assert [one.id for one in report.set_aside] == ["label_studio:4:73"]
    assert report.added == 3


def test_people_are_named_beside_what_is_no_annotation():
    """A file that somebody damaged is read on, for the reader of annotations to name the damage."""
    ben = {"id": 2, "username": "ben"}
    damaged = ["x", None, {"completed_by": 3}, {"completed_by": None}]
    task = {"annotations": [*damaged, {"completed_by": ben}, {"completed_by": 2}]}
    [named, text] = with_people([task, "x"])
    assert named["annotations"] == [*damaged, {"completed_by": ben}, {"completed_by": ben}]
    assert text == "x"


def test_task_has_label_studios_shape_and_hides_control_answers():
    """Predictions carry version, score and result; a control task tells nothing of the answer."""
    workload = classification()
    item = review_item(workload, model_output="oil fault")
    task = task_of(workload, item)
    assert task["predictions"] == [
        {
            "model_version": "base",
            "score": 0.41,
            "result": [
                {
                    "id": "label",
                    "from_name": "label",
                    "to_name": "text",
                    "type": "choices",
                    "value": {"choices": ["oil fault"]},
                }
            ],
        }
    ]
    hidden = json.dumps(task_of(workload, replace(item, slice="control", reason="drawn at random")))
    assert "oil fault" not in hidden
    assert "0.41" not in hidden


@pytest.mark.parametrize(
    "output",
    [
        {"category": "oil fault", "urgency": "low"},
        {"category": "oil fault", "urgency": "low", "count": 0, "stopped": False, "note": "3"},
    ],
)
def test_answer_survives_the_way_there_and_back(output):
    """What is written as regions is read as the same values, types included."""
    workload = extraction()
    task = task_of(workload, review_item(workload))
    raw = {
        "id": 1,
        "completed_by": 2,
        "created_at": "2026-01-09T10:00:00Z",
        "updated_at": "2026-01-09T10:00:00Z",
        "result": result_of(workload, output),
    }
    found = annotation_from(workload, task, raw)
    assert found.output == output
    assert found.created_at < END.replace(day=10)

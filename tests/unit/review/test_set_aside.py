"""One annotation or file that cannot be read stops nobody else's, and is shown with its reason."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.clock import ManualClock
from flywheel.errors import DataError, IntegrityError
from flywheel.review.merging.annotation_reading import read_annotations_of
from flywheel.review.merging.collect import collect, unreadable_annotations
from flywheel.review.queues.label_studio_format import annotator_of, result_of
from flywheel.review.queues.local_desk import LocalAnswerDesk
from flywheel.review.queues.local_queue import LocalReviewQueue
from tests.fakes.review_items import review_item
from tests.fakes.review_world import END, classification, extraction
from tests.fakes.strategies import json_values, raw_bytes, spoiled_mappings

WORKLOAD = classification()
_CHOICE = {"from_name": "category", "to_name": "text", "type": "choices"}
_TIMES = {"created_at": "2026-11-01T00:00:00Z", "updated_at": "2026-11-01T00:00:00Z"}

# As scripts and forms of other people write them (ex_value_list, ex_two_choices, ex_text_int,
# ex_old_label), and a word of the reason.
ODD_RESULTS = {
    "a value that is a list": ([{"from_name": "category", "value": ["x"]}], "a list"),
    "two choices": ([_CHOICE | {"value": {"choices": ["oil fault", "heat fault"]}}], "2 labels"),
    "numbers as text": ([_CHOICE | {"type": "textarea", "value": {"text": [1, 2]}}], "not text"),
    "a label that never was": ([_CHOICE | {"value": {"choices": ["no such label"]}}], "never was"),
    "no choice": ([_CHOICE | {"value": {"choices": []}}], "no choice"),
    "a text as result": ("oil fault", "list of regions"),
    "a number as region": ([3], "a region"),
    "a control named by a list": ([{"from_name": [], "value": {}}], "names its control"),
    "half a character": ([_CHOICE | {"value": {"text": ["\ud800"]}}], "cannot hold"),
    "an infinite number": ([_CHOICE | {"value": {"number": 1e999}}], "number of"),
}


def exported(*annotations, item="i1", **task):
    """Return a task of an export with these annotations."""
    data = {"item_id": item, "inference_id": f"x-{item}", "workload_id": WORKLOAD.id}
    return {"id": 1, "project": 3, "data": data, "annotations": list(annotations)} | task


def annotation(number, result=None, by=5, **changes):
    """Return an annotation that chose the first label."""
    chosen = [_CHOICE | {"value": {"choices": ["oil fault"]}}] if result is None else result
    return {"id": number, "completed_by": by, "result": chosen, **_TIMES} | changes


def take(queue, tmp_path, tasks, **options):
    """Take an export of these tasks in."""
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks))
    return queue.take_export(WORKLOAD, path, **options)


def pulled(queue):
    """Return what a pull brings, by the number of the annotation."""
    found = queue.pull(WORKLOAD, None).annotations
    return {one.annotation_id.rpartition(":")[2]: one for one in found}


@pytest.mark.parametrize(("result", "word"), ODD_RESULTS.values(), ids=ODD_RESULTS)
def test_an_odd_annotation_stops_nobody_elses(lake, queue, tmp_path, result, word):
    """It is set aside with its id, its author and the reason; the one beside it comes in."""
    report = take(queue, tmp_path, [exported(annotation(9, result), annotation(10, by=6))])
    [aside] = report.set_aside
    assert (aside.id, aside.author) == ("label_studio:3:9", "label_studio:5")
    assert word in aside.reason
    merged = collect(lake, queue, WORKLOAD, now=END)
    assert [one.id for one in merged.set_aside] == [aside.id]
    assert unreadable_annotations(lake, WORKLOAD) == list(merged.set_aside)
    found = pulled(queue)
    assert (found["9"].kind, found["10"].kind) == ("unreadable", "answer")
    assert found["10"].output == "oil fault"
    assert queue.status(WORKLOAD).judgments_given == (2 if word in ("2 labels", "never was") else 1)


@pytest.mark.parametrize("missing", ["id", "created_at"])
def test_an_annotation_without_identity_is_set_aside(queue, tmp_path, missing):
    """Without an id or a time it is no version of anything; the one beside it comes in."""
    bad = annotation(9)
    del bad[missing]
    bad.pop("updated_at")
    report = take(queue, tmp_path, [exported(bad, "no object", annotation(10))])
    assert (report.added, len(report.set_aside)) == (1, 2)
    assert list(pulled(queue)) == ["10"]


def test_a_task_that_cannot_be_taken_proves_no_deletion(queue, tmp_path):
    """Another task comes in; what the bad one may have held is not taken for deleted."""
    take(queue, tmp_path, [exported(annotation(9)), exported(annotation(10), item="i2")])
    bad = exported(annotation(9), item="../../outside")
    report = take(queue, tmp_path, [bad, exported(annotation(10), item="i2"), 7])
    assert (report.deleted, len(report.set_aside)) == (0, 2)
    assert "cannot be the id" in report.set_aside[0].reason
    assert not list(tmp_path.rglob("outside*"))


def test_an_annotation_can_be_read_once_its_label_is_there(lake, queue, tmp_path):
    """The same annotation is then a version that counts."""
    odd = [_CHOICE | {"value": {"choices": ["battery"]}}]
    take(queue, tmp_path, [exported(annotation(9, odd))])
    collect(lake, queue, WORKLOAD, now=END)
    raw = WORKLOAD.model_dump(mode="json", by_alias=True)
    raw["taxonomy"] = {
        "version": 2,
        "labels": [*raw["taxonomy"]["labels"], {"id": "b", "name": "battery", "added": 2}],
    }
    later = classification(taxonomy=raw["taxonomy"])
    collect(lake, queue, later, now=END.replace(day=END.day + 1))
    assert unreadable_annotations(lake, later) == []


def test_unknown_people_are_not_one_person():
    """Nobody is named: each annotation has an unknown author of its own."""
    for by in (None, {}, {"email": ""}, True, []):
        names = {annotator_of(annotation(number, by=by, project=3)) for number in (1, 2)}
        assert len(names) == 2
        assert all(name.startswith("unknown:") for name in names)


def test_a_number_and_an_address_of_one_person_are_one(lake, queue, tmp_path):
    """Within one file, and where a later file knows the address."""
    person = {"id": 5, "email": "a@x.example"}
    take(queue, tmp_path, [exported(annotation(8), item="i2")])
    collect(lake, queue, WORKLOAD, now=END)
    both = [exported(annotation(9), annotation(10, by=person)), exported(annotation(8), item="i2")]
    take(queue, tmp_path, both)
    assert {one.annotator for one in pulled(queue).values()} == {"a@x.example"}
    collect(lake, queue, WORKLOAD, now=END.replace(day=END.day + 1))
    rows = lake.rows("SELECT DISTINCT annotator FROM latest_annotations")
    assert rows == [{"annotator": "a@x.example"}]


def test_a_byte_order_mark_is_read(queue, tmp_path):
    """What Windows saves begins with one."""
    path = tmp_path / "export.json"
    path.write_text(json.dumps([exported(annotation(9))]), encoding="utf-8-sig")
    assert queue.take_export(WORKLOAD, path).added == 1


def test_a_number_that_is_no_json_does_not_cost_the_file(queue, tmp_path):
    """Python writes NaN where a score is missing."""
    tasks = [exported(annotation(9), predictions=[{"score": float("nan")}])]
    assert take(queue, tmp_path, tasks).added == 1
    nested = tmp_path / "nested.json"
    nested.write_text("[" * 100_000)
    with pytest.raises(DataError, match="not JSON"):
        queue.take_export(WORKLOAD, nested)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"data": {}}', "\ud800", "[" * 100_000])
def test_a_damaged_queue_file_holds_up_nobody(lake, queue, desk, tmp_path, content):
    """The others are asked, answered and merged; the damaged one is shown and left as it lies."""
    queue.push(WORKLOAD, [review_item(WORKLOAD, item_id=f"item{n}") for n in range(3)])
    damaged = tmp_path / "queue" / WORKLOAD.id / "item1.json"
    damaged.write_bytes(content.encode("utf-8", "surrogatepass"))
    for task in desk.open_items(WORKLOAD, "ann"):
        desk.submit(WORKLOAD, task.item_id, "ann", "oil fault")
    status = queue.status(WORKLOAD)
    assert (status.items, status.judgments_given) == (2, 2)
    assert [one.id for one in status.set_aside] == ["item1"]
    assert "item1.json" in status.set_aside[0].reason
    merged = collect(lake, queue, WORKLOAD, now=END)
    assert merged.annotations == 2
    assert [one.id for one in merged.set_aside] == ["item1"]
    report = take(queue, tmp_path, [exported(annotation(9), item="item1")])
    assert [one.reason for one in report.set_aside] == ["its file in the queue is damaged"]
    assert damaged.read_bytes() == content.encode("utf-8", "surrogatepass")
    with pytest.raises(IntegrityError, match="item1"):
        desk.submit(WORKLOAD, "item1", "ann", "oil fault")


@pytest.mark.parametrize("workload", [classification(), extraction()], ids=lambda w: w.id)
@settings(max_examples=100)
@given(data=st.data())
def test_any_json_as_annotation_is_read_or_set_aside(workload, data):
    """Whatever lies where an annotation, its result, a region or a value should be."""
    answer = "oil fault" if workload.id == "defects" else {"urgency": "low"}
    good = annotation(1, result_of(workload, answer))
    names = st.sampled_from(("label", "category", "urgency", "verdict", "new_category"))
    kinds = st.sampled_from(("choices", "text", "number", "rating"))
    regions = st.fixed_dictionaries(
        {"from_name": names, "value": st.dictionaries(kinds, json_values, max_size=2)}
    )
    results = st.lists(regions | json_values, max_size=2)
    bad = data.draw(
        json_values
        | results.map(lambda result: annotation(2, result))
        | spoiled_mappings(annotation(2, good["result"]))
    )
    read, aside = read_annotations_of(workload, exported(good, bad))
    assert len(read) + len(aside) == 2
    assert read[0].kind == "answer"
    assert all(one.reason for one in aside)
    for one in read:
        json.dumps(one.output, allow_nan=False, ensure_ascii=False).encode()


@settings(max_examples=60)
@given(data=st.data())
def test_any_file_in_the_queue_holds_up_nobody(tmp_path_factory, data):
    """A queue file of any bytes or JSON: the task beside it is asked, answered and brought."""
    folder = tmp_path_factory.mktemp("queue")
    clock = ManualClock(END)
    queue, desk = LocalReviewQueue(folder, clock), LocalAnswerDesk(folder, clock)
    queue.push(WORKLOAD, [review_item(WORKLOAD, item_id=f"item{n}") for n in range(2)])
    path = folder / WORKLOAD.id / "item1.json"
    whole = json.loads(path.read_bytes()) | {"annotations": [annotation(3)]}
    spoiled = (json_values | spoiled_mappings(whole)).map(lambda one: json.dumps(one).encode())
    content = data.draw(raw_bytes | spoiled)
    path.write_bytes(content)
    for task in desk.open_items(WORKLOAD, "ann"):
        if task.item_id == "item0":
            desk.submit(WORKLOAD, task.item_id, "ann", "oil fault")
    assert queue.status(WORKLOAD).judgments_given >= 1
    brought = queue.pull(WORKLOAD, None)
    assert "item0" in {one.item_id for one in brought.annotations}
    assert all(one.reason for one in brought.set_aside)
    assert path.read_bytes() == content

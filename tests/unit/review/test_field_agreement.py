"""Agreement field by field: where two people read one invoice differently."""

from flywheel.review.merging.collect import collect
from flywheel.review.merging.field_agreement import agreement_of, field_agreement, field_corrections
from flywheel.review.sampling.batches import sample_batch
from tests.fakes.invoices import SCHEMA, invoice, invoices, noisy
from tests.fakes.review_world import (
    END,
    START,
    answer,
    classification,
    correction,
    put_answers,
    put_corrections,
)


def test_the_field_that_people_differ_on_is_seen(lake, queue, desk):
    """Two people agree on the vendor and not on the total; the spelling of a number is no matter."""
    workload = invoices(review={"budget": 60, "overlap": 1.0})
    put_answers(
        lake,
        workload,
        [
            answer(n, input=invoice(n)[0], output=noisy(n, invoice(n)[1]), confidence=0.2)
            for n in range(30)
        ],
    )
    sample_batch(lake, queue, workload, window_start=START, window_end=END, now=END, budget=60)
    tasks = desk.open_items(workload, "ann")
    for place, task in enumerate(tasks):
        _, right = invoice(int(task.inference_id[1:]))
        desk.submit(workload, task.item_id, "ann", right)
        other = right | {"line_items": [dict(item) for item in right["line_items"]]}
        other["line_items"][0]["quantity"] = float(right["line_items"][0]["quantity"])
        if place % 2:
            other["total"] = right["total"] + 1
        desk.submit(workload, task.item_id, "ben", other)
    report = collect(lake, queue, workload, now=END)
    assert report.corrections["accepted"] == (len(tasks) + 1) // 2
    assert report.adjudications + report.adjudications_waiting == len(tasks) // 2
    found = field_agreement(lake, workload)
    assert (found["vendor"].pairs, found["vendor"].same) == (len(tasks), len(tasks))
    assert found["total"].same == (len(tasks) + 1) // 2
    assert found["line_items[].quantity"].same == len(tasks)
    assert found["vendor"].alpha.alpha == 1
    assert 0 < found["total"].alpha.alpha < 1
    disputed = [t for t in desk.open_items(workload, "cid") if t.slice == "adjudication"]
    assert {one.reason for one in disputed} == {
        "annotators disagree on total: decide as a third person"
    }
    accepted = lake.rows("SELECT inference_id FROM latest_corrections WHERE status = 'accepted'")
    numbers = [int(row["inference_id"][1:]) for row in accepted]
    changed = field_corrections(lake, workload)
    assert {one.answers for one in changed.values()} == {len(numbers)}
    assert changed["total"].changed == sum(n % 9 == 3 for n in numbers)
    assert changed["line_items[].quantity"].changed == sum(n % 9 in (0, 6) for n in numbers)
    assert changed["vendor"].changed == 0


def test_only_accepted_corrections_of_reviewed_answers_are_counted(lake):
    """Not what was proposed, imported or typed without an answer, nor another workload's."""
    workload, right, wrong = invoices(), invoice(1)[1], invoice(2)[1]
    pair = {"output": right, "original_output": wrong, "label_id": None}
    others = [{"status": "proposed"}, {"source": "import"}, {"original_output": None},
              {"output": None}, {"workload_id": "others"}]  # fmt: skip
    rows = [correction(number, **pair | change) for number, change in enumerate([{}, *others])]
    put_corrections(lake, workload, rows)
    assert {one.answers for one in field_corrections(lake, workload).values()} == {1}


def test_a_classification_has_no_fields(lake):
    """Its agreement is the one figure over labels."""
    assert field_agreement(lake, classification()) == {}
    assert field_corrections(lake, classification()) == {}


def test_one_judgment_is_no_pair():
    """Without a second person there is a reason and no number."""
    found = agreement_of(SCHEMA, [[invoice(1)[1]], []])
    assert (found["total"].pairs, found["total"].alpha.alpha) == (0, None)

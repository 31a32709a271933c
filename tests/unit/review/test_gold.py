"""Gold items: known answers are asked again, and tell about the annotator alone."""

import shutil
from datetime import timedelta

import pytest

from flywheel.clock import ManualClock
from flywheel.lake.store import Lake
from flywheel.review.merging.annotator_figures import annotator_figures
from flywheel.review.merging.collect import collect
from flywheel.review.queues.local_desk import LocalAnswerDesk
from flywheel.review.queues.local_queue import LocalReviewQueue
from flywheel.review.sampling.gold import choose_gold, gold_budget, read_known_answers
from flywheel.review.sampling.sent_items import read_sent, spending
from tests.fakes.review_world import (
    END,
    WEEK,
    answer,
    classification,
    put_answers,
    sample_week,
    truth,
)

WORKLOAD = classification(
    review={
        "budget": 300,
        "overlap": 1.0,
        "gold": 0.2,
        "shares": {"control": 0.5, "uncertain": 0.5, "novel": 0, "flagged": 0},
    }
)
KNOWN, RETIRED = 20, "oil fault"


def sample(lake, queue, *, week, budget, workload=WORKLOAD):
    """Sample one week at its end."""
    return sample_week(lake, queue, workload, week=week, budget=budget)


def judge(desk, people):
    """Let each person answer all that is open to them, rightly; return how many judgments."""
    given = 0
    for name in people:
        for task in desk.open_items(WORKLOAD, name):
            desk.submit(WORKLOAD, task.item_id, name, truth(int(task.inference_id[1:])))
            given += 1
    return given


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Return a folder in which two people agree on twenty answers; a third has met a single one."""
    folder = tmp_path_factory.mktemp("judged")
    lake, clock = Lake(folder / "lake"), ManualClock(END)
    queue, desk = (each(folder / "queue", clock) for each in (LocalReviewQueue, LocalAnswerDesk))
    put_answers(lake, WORKLOAD, [answer(number, confidence=0.4) for number in range(KNOWN)])
    assert sample(lake, queue, week=0, budget=3 * KNOWN).items == KNOWN
    first = desk.open_items(WORKLOAD, "chi")[0]
    desk.submit(WORKLOAD, first.item_id, "chi", truth(int(first.inference_id[1:])))
    judge(desk, ["ann", "ben"])
    collect(lake, queue, WORKLOAD, now=END)
    later = [
        answer(100 + n, timestamp=END + timedelta(minutes=n), confidence=0.4) for n in range(KNOWN)
    ]
    put_answers(lake, WORKLOAD, later, offset=100)
    lake.close()
    return folder


@pytest.fixture
def decided(judged, clock, tmp_path):
    """Copy that folder to where the test's lake, queue and desk are, a week later."""
    for name in ("lake", "queue"):
        shutil.copytree(judged / name, tmp_path / name, dirs_exist_ok=True)
    clock.move_to(END + WEEK)


def gold_items(lake):
    """Return the items whose answer is known."""
    return [entry.item for entry in read_sent(lake, WORKLOAD.id) if entry.item.slice == "gold"]


def test_known_answers_cost_their_share_of_the_budget(lake, queue, decided):
    """A fifth of what is asked is known, and what is new gets the others."""
    before = spending(lake, WORKLOAD.id, "2026Q1")
    report = sample(lake, queue, week=1, budget=30)
    new = report.items - report.by_slice["gold"]
    assert (report.by_slice["gold"], new) == (4, 8)  # a new one is judged twice
    after = spending(lake, WORKLOAD.id, "2026Q1")
    assert after.sent - before.sent == 4 + 2 * new
    assert after.held_back - before.held_back == new
    assert sample(lake, queue, week=1, budget=30).pushed == 0


def test_quiet_week_asks_no_more_than_the_share(lake, queue, decided):
    """A budget that a few new answers leave unspent is not spent on known ones."""
    new = [answer(300, timestamp=END + WEEK + timedelta(days=1))]
    put_answers(lake, WORKLOAD, new, offset=300, landed_at=END + 2 * WEEK)
    sample(lake, queue, week=1, budget=30)
    report = sample(lake, queue, week=2, budget=60)
    assert report.by_slice.get("gold", 0) <= 1
    assert report.items >= 1


def test_known_answer_looks_like_one_of_the_control_slice(lake, queue, desk, decided):
    """Neither what is shown nor what the page could be asked for tells the two apart."""
    sample(lake, queue, week=1, budget=30)
    gold = {item.item_id for item in gold_items(lake)}
    tasks = {task.item_id: task for task in desk.open_items(WORKLOAD, "chi")}
    asked = [tasks[name] for name in gold]
    control = [t for t in tasks.values() if t.slice == "control" and t.item_id not in gold]
    assert control
    seen = {(t.suggestion, t.confidence, t.slice, t.reason, int(t.priority)) for t in asked}
    assert seen == {
        (t.suggestion, t.confidence, t.slice, t.reason, int(t.priority)) for t in control
    }
    assert {len(t.item_id) for t in asked} == {len(t.item_id) for t in control}


def test_its_place_in_the_queue_does_not_give_it_away(lake, queue, desk, decided):
    """Among many new answers too, known ones and those of the control slice come mixed."""
    many = [answer(400 + n, timestamp=END + timedelta(hours=n), confidence=0.4) for n in range(150)]
    put_answers(lake, WORKLOAD, many, offset=400)
    sample(lake, queue, week=1, budget=90)
    gold = {item.item_id for item in gold_items(lake)}
    blind = [t for t in desk.open_items(WORKLOAD, "chi") if t.slice == "control"]
    places = [place for place, task in enumerate(blind) if task.item_id in gold]
    assert len(places) >= 10
    assert max(places) - min(places) >= len(blind) * 0.6
    assert 0.25 < sum(places) / len(places) / len(blind) < 0.75


def test_whoever_decided_an_answer_is_not_asked_for_it_again(lake, queue, desk, decided):
    """It goes to those who have not met it."""
    sample(lake, queue, week=1, budget=30)
    met = {
        name: {task.inference_id for task in desk.open_items(WORKLOAD, name)}
        for name in ("ann", "ben", "chi")
    }
    asked = {item.inference_id for item in gold_items(lake)}
    assert len(asked & met["chi"]) >= 3
    assert asked <= met["chi"] | met["ben"] | met["ann"]
    assert len(asked & met["ann"]) <= 1


def test_it_measures_the_person_and_corrects_nothing(lake, queue, desk, decided):
    """One is wrong and one could not be told, the others are right; no correction comes of them."""
    sample(lake, queue, week=1, budget=30)
    before = lake.rows("select * from latest_corrections order by correction_id")
    said = [item for item in gold_items(lake) if item.inference_id in open_to_chi(desk)]
    wrong, unclear, *right = said
    desk.submit(WORKLOAD, wrong.item_id, "chi", truth(int(wrong.inference_id[1:]) + 1))
    desk.submit(WORKLOAD, unclear.item_id, "chi", kind="cant_tell")
    for item in right:
        desk.submit(WORKLOAD, item.item_id, "chi", truth(int(item.inference_id[1:])))
    report = collect(lake, queue, WORKLOAD, now=END + WEEK)
    assert (report.annotations, report.corrections, report.unknown_items) == (len(said), {}, 0)
    assert lake.rows("select * from latest_corrections order by correction_id") == before
    chi = next(one for one in annotator_figures(lake, WORKLOAD) if one.annotator == "chi")
    assert (chi.gold_checked, chi.gold_accuracy) == (len(said), len(right) / len(said))
    assert (chi.checked, chi.accuracy) == (len(said) + 1, (len(right) + 1) / (len(said) + 1))


def open_to_chi(desk):
    """Return the inferences that the third person can still judge."""
    return {task.inference_id for task in desk.open_items(WORKLOAD, "chi")}


def test_who_decided_it_is_not_measured_by_it(lake, queue, desk, decided):
    """Label Studio lets everybody open every item; their own truth measures nobody."""
    sample(lake, queue, week=1, budget=30)
    item = next(i for i in gold_items(lake) if i.inference_id in open_to_chi(desk))
    desk.submit(WORKLOAD, item.item_id, "ann", truth(int(item.inference_id[1:])))
    collect(lake, queue, WORKLOAD, now=END + WEEK)
    found = {one.annotator: one for one in annotator_figures(lake, WORKLOAD)}
    assert (found["ann"].gold_checked, found["ann"].gold_accuracy) == (0, None)


def root_id(lake, item):
    """Return the item in which the known answer was decided."""
    return next(
        entry.item.item_id
        for entry in read_sent(lake, WORKLOAD.id)
        if entry.item.inference_id == item.inference_id and entry.item.slice != "gold"
    )


def test_truth_that_was_withdrawn_measures_nobody(lake, queue, desk, decided):
    """Once those who decided it take it back, the item has no known answer."""
    sample(lake, queue, week=1, budget=30)
    item = next(i for i in gold_items(lake) if i.inference_id in open_to_chi(desk))
    desk.submit(WORKLOAD, item.item_id, "chi", truth(int(item.inference_id[1:])))
    assert desk.withdraw(WORKLOAD, root_id(lake, item), "ben")
    collect(lake, queue, WORKLOAD, now=END + WEEK)
    chi = next(one for one in annotator_figures(lake, WORKLOAD) if one.annotator == "chi")
    assert chi.gold_checked == 0


def test_what_everybody_has_met_is_never_asked(lake, queue, desk, clock):
    """With two people there is nobody left to ask: an item nobody may answer would stay open."""
    put_answers(lake, WORKLOAD, [answer(number, confidence=0.4) for number in range(KNOWN)])
    sample(lake, queue, week=0, budget=3 * KNOWN)
    assert judge(desk, ["ann", "ben"]) == 2 * KNOWN
    collect(lake, queue, WORKLOAD, now=END)
    assert read_known_answers(lake, WORKLOAD, END) == []


def test_who_has_not_judged_for_long_does_not_count(lake, queue, decided):
    """The third person may have left: what only they could answer is not asked."""
    assert len(read_known_answers(lake, WORKLOAD, END)) == KNOWN
    assert read_known_answers(lake, WORKLOAD, END + timedelta(days=91)) == []


def test_open_one_is_not_asked_twice_and_the_least_asked_comes_first(lake, queue, desk, decided):
    """Another batch asks others; what was answered comes again after all of them."""
    sample(lake, queue, week=1, budget=30)
    first = {item.inference_id for item in gold_items(lake)}
    known = read_known_answers(lake, WORKLOAD, END + WEEK)
    assert {answer.entry.item.inference_id for answer in known}.isdisjoint(first)
    # Dan, who is there from now on, has met none of them.
    new = next(t for t in desk.open_items(WORKLOAD, "dan") if t.inference_id not in first)
    desk.submit(WORKLOAD, new.item_id, "dan", truth(int(new.inference_id[1:])))
    judge(desk, ["chi", "ben", "ann"])
    collect(lake, queue, WORKLOAD, now=END + WEEK)
    known = read_known_answers(lake, WORKLOAD, END + WEEK)
    times = {answer.entry.item.inference_id: answer.asked for answer in known}
    assert first <= times.keys()
    assert {name for name, count in times.items() if count} == first
    assert {times[name] for name in first} == {1}
    again = choose_gold(
        WORKLOAD,
        known,
        gold_budget(WORKLOAD, "next", 30),
        batch_id="next",
        period="2026Q1",
        now=END + WEEK,
    )
    assert len(again) >= 5
    assert {entry.item.inference_id for entry in again}.isdisjoint(first)


def test_without_anything_new_nobody_is_asked(lake, queue, decided):
    """A week without traffic makes no batch of known answers alone."""
    assert sample(lake, queue, week=1, budget=200).items >= KNOWN
    report = sample(lake, queue, week=3, budget=30)
    assert (report.items, report.by_slice) == (0, {})


@pytest.mark.parametrize(("overlap", "budget"), [(0.0, 1), (0.0, 3), (1.0, 3), (1.0, 5)])
def test_smallest_budget_is_left_to_what_is_new(lake, queue, decided, overlap, budget):
    """A known answer never takes the place of the only new one."""
    workload = classification(review={"budget": 300, "overlap": overlap, "gold": 0.5})
    slices = sample(lake, queue, week=1, budget=budget, workload=workload).by_slice
    assert sum(count for name, count in slices.items() if name != "gold") >= 1


def test_who_met_it_as_known_still_decides_a_later_dispute(lake, queue, desk, decided):
    """One of those who agreed changes their mind: the third person may decide."""
    sample(lake, queue, week=1, budget=30)
    item = next(i for i in gold_items(lake) if i.inference_id in open_to_chi(desk))
    desk.submit(WORKLOAD, item.item_id, "chi", truth(int(item.inference_id[1:])))
    root = root_id(lake, item)
    desk.submit(WORKLOAD, root, "ben", truth(int(item.inference_id[1:]) + 1))
    assert collect(lake, queue, WORKLOAD, now=END + WEEK).adjudications == 1
    second = f"{root}-adjudication"
    for name, allowed in (("ann", False), ("ben", False), ("chi", True)):
        offered = {task.item_id for task in desk.open_items(WORKLOAD, name)}
        assert (second in offered) == allowed
    desk.submit(WORKLOAD, second, "chi", truth(int(item.inference_id[1:])))
    collect(lake, queue, WORKLOAD, now=END + WEEK)
    asked = {answer.entry.item.inference_id for answer in read_known_answers(lake, WORKLOAD, END)}
    assert item.inference_id not in asked  # by now everybody has met it


def test_label_that_is_retired_meanwhile_measures_nobody(lake, queue, desk, decided):
    """The form does not offer it any more: nobody is marked wrong for that."""
    sample(lake, queue, week=1, budget=30)
    for item in gold_items(lake):
        if item.inference_id in open_to_chi(desk):
            desk.submit(WORKLOAD, item.item_id, "chi", truth(int(item.inference_id[1:]) + 1))
    collect(lake, queue, WORKLOAD, now=END + WEEK)
    before = next(one for one in annotator_figures(lake, WORKLOAD) if one.annotator == "chi")
    named = [i.inference_id for i in gold_items(lake) if truth(int(i.inference_id[1:])) == RETIRED]
    after = next(one for one in annotator_figures(lake, without()) if one.annotator == "chi")
    assert named
    assert before.gold_checked - after.gold_checked == len(named)


def without():
    """Return the workload whose taxonomy has given up a label."""
    labels = [
        {"id": "oil", "name": RETIRED, "retired": 2},
        {"id": "noise", "name": "noise fault"},
        {"id": "heat", "name": "heat fault"},
    ]
    return classification(taxonomy={"version": 2, "labels": labels})


def test_answers_known_under_another_taxonomy_are_not_asked(lake, queue, decided):
    """Under the present one another label may be right."""
    assert read_known_answers(lake, without(), END) == []

import json
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from flywheel.review.queues.label_studio_format import task_of
from flywheel.review.sampling.candidates import Candidate, flag_of
from flywheel.review.sampling.draws import choose_items
from tests.fakes.review_world import END, START, classification, text, truth

pytestmark = pytest.mark.usefixtures("vectors_taken_once")
DAY = timedelta(days=1)


def candidates(count, start=0, **changes):
    """Return candidates whose confidence runs from low to high and around again."""
    return [
        replace(
            Candidate(
                inference_id=f"i{number:05d}",
                input=text(number),
                output=truth(number),
                confidence=0.3 + (number * 37 % 70) / 100,
                release="base",
                subject_id=None,
                event_time=START,
            ),
            **changes,
        )
        for number in range(start, start + count)
    ]


def choose(found, *, workload=None, budget=60, batch="b1", seed=3, known=(), disagreements=()):
    """Choose with the defaults of these tests."""
    return choose_items(
        workload or classification(),
        found,
        budget=budget,
        batch_id=batch,
        period="2026Q1",
        seed=seed,
        now=END,
        known_texts=known,
        disagreements=disagreements,
    )


def shares(*, strategy="cluster_margin", **given):
    """Return a workload with these shares, and one judgment an item."""
    base = dict.fromkeys(("control", "uncertain", "novel", "flagged"), 0.0)
    review = {"shares": base | given, "overlap": 0.0, "strategy": strategy}
    return classification(review=review)


@pytest.mark.parametrize("budget", [0, 1, 2, 7, 60, 300])
def test_budget_is_never_exceeded(budget):
    """Judgments, overlap included, stay within the budget and leave room for adjudication."""
    items = choose(candidates(400), budget=budget)
    twice = sum(item.judgments == 2 for item in items)
    assert sum(item.judgments for item in items) + twice <= budget
    assert len(items) == len({item.inference_id for item in items})


def test_budget_below_nothing_asks_nothing():
    """A caller that counts more spent than there was gets an empty batch."""
    assert choose(candidates(10), budget=-5) == []


def test_same_input_in_any_order_gives_the_same_items():
    """The choice depends on the seed and the candidates, not on their order."""
    found = candidates(300)
    shuffled = found[::-1]
    assert choose(found) == choose(shuffled)
    assert choose(found) != choose(found, seed=4)


def test_control_items_hide_the_answer_and_know_their_probability():
    """A control item carries no model output; its inclusion probability is exact."""
    items = choose(candidates(400), budget=60)
    control = [item for item in items if item.slice == "control"]
    others = [item for item in items if item.slice != "control"]
    # A quarter of the 50 items that 60 judgments pay for, rounded up or down by a draw.
    assert len(control) in {12, 13}
    assert all(item.model_output is None for item in control)
    assert {item.inclusion_probability for item in control} == {12.5 / 400}
    assert all(item.model_output is not None for item in others)
    assert {item.inclusion_probability for item in others} == {None}


def test_control_slice_is_unbiased():
    """Over many batches each answer is drawn as often as its probability says."""
    workload = shares(control=1.0)
    found = candidates(40)
    drawn = dict.fromkeys((one.inference_id for one in found), 0)
    estimates = []
    for number in range(1500):
        items = choose(found, workload=workload, budget=12, batch=f"b{number}")
        for item in items:
            drawn[item.inference_id] += 1
        low = [item for item in items if item.confidence < 0.5]
        estimates.append(sum(1 / item.inclusion_probability for item in low))
    expected = 1500 * 12 / 40
    assert all(abs(count - expected) < 5 * expected**0.5 for count in drawn.values())
    # Horvitz and Thompson's total of a property that the other slices would distort.
    true = sum(one.confidence < 0.5 for one in found)
    assert abs(sum(estimates) / len(estimates) - true) < 0.3


def test_small_batches_keep_their_shares_over_time():
    """One judgment a day is all control in a quarter of the days, and never in all of them."""
    found = candidates(40) + candidates(10, start=800, flag=("client marked it wrong", 1.0))
    known = [text(number) for number in range(2000, 2100)]
    slices = []
    for number in range(400):
        slices += [i.slice for i in choose(found, budget=1, batch=f"d{number}", known=known)]
    assert len(slices) == 400
    assert 75 <= slices.count("control") <= 125
    assert 20 <= slices.count("flagged") <= 60


def test_small_control_slices_are_unbiased():
    """Also where most batches draw none: the probability is that of before the size was drawn."""
    found = candidates(40)
    true = sum(one.confidence < 0.5 for one in found)
    totals = []
    for number in range(3000):
        batch = choose(found, workload=classification(), budget=2, batch=f"s{number}")
        control = [item for item in batch if item.slice == "control"]
        totals.append(sum(1 / c.inclusion_probability for c in control if c.confidence < 0.5))
    assert abs(sum(totals) / len(totals) - true) < 1.5


def test_control_slice_ignores_confidence_flags_and_repetition():
    """What is drawn at random depends on ids alone, and repeated texts are not left out."""
    workload = shares(control=0.5, uncertain=0.5)
    plain = candidates(50)
    odd = [replace(c, input="the same text", confidence=0.99, flag=("bad", 1)) for c in plain]
    first = {i.inference_id for i in choose(plain, workload=workload) if i.slice == "control"}
    second = {i.inference_id for i in choose(odd, workload=workload) if i.slice == "control"}
    assert first == second
    assert len(first) > 1


def test_control_slice_takes_answers_of_the_window_only():
    """Older answers that a client complained about are never control items."""
    old = candidates(200, in_window=False, flag=("client marked it wrong", 1.0))
    items = choose(old + candidates(10, start=900), workload=shares(control=1.0))
    control = {item.inference_id for item in items if item.slice == "control"}
    assert control <= {f"i{number:05d}" for number in range(900, 910)}
    assert {item.inclusion_probability for item in items if item.slice == "control"} == {1.0}


def test_thin_traffic_is_not_eaten_up_by_the_control_slice():
    """With fewer answers than the budget pays for, the control share is one of the answers."""
    items = choose(candidates(12, confidence=0.4), budget=300)
    assert [item.slice for item in items].count("control") == 3
    assert {item.inclusion_probability for item in items if item.slice == "control"} == {0.25}
    assert len(items) == 12


def test_uncertain_answers_come_lowest_first_and_say_why():
    """The least confident answers are chosen and the sentence names both numbers."""
    workload = shares(uncertain=1.0, strategy="smallest_margin")
    items = choose(candidates(300), workload=workload, budget=30)
    assert all(item.confidence < 0.6 for item in items)
    assert items[0].reason == f"confidence {items[0].confidence:.2f} below 0.85"
    assert items[0].confidence <= items[-1].confidence


def test_text_that_comes_often_is_asked_about_first_and_once():
    """Of equal doubts, the one that is met most; its repeats are judged with it."""
    often = [replace(one, input="the crane is stuck", confidence=0.5) for one in candidates(20)]
    rare = candidates(10, start=500, confidence=0.5)
    items = choose([*often, *rare], workload=shares(uncertain=1.0), budget=3)
    asked = [item.input for item in items]
    assert asked.count("the crane is stuck") == 1
    assert len(set(asked)) == 3


def test_of_equal_texts_the_least_sure_answer_is_asked_about():
    """One judgment serves all of them, so the one that the model doubts most is shown."""
    found = [
        replace(one, input="the crane is stuck", confidence=confidence)
        for one, confidence in zip(candidates(3), (0.5, 0.2, 0.7), strict=True)
    ]
    (item,) = choose(found, workload=shares(uncertain=1.0))
    assert (item.inference_id, item.confidence) == ("i00001", 0.2)


def test_confident_answers_are_never_uncertain():
    """From the workload's confidence on nothing is asked, and the rest of the budget is kept."""
    assert choose(candidates(50, confidence=0.9), workload=shares(uncertain=1.0)) == []
    limit = classification().review.confidence
    assert choose(candidates(50, confidence=limit), workload=shares(uncertain=1.0)) == []
    assert choose(candidates(50, confidence=limit - 0.001), workload=shares(uncertain=1.0))


def test_uncertain_items_are_spread_over_meanings():
    """Of equally uncertain answers, one of each meaning comes before many of one."""
    topics = {
        "oil leaks from the pump": 12,
        "the bearing makes a loud noise": 2,
        "the motor is burning hot": 2,
    }
    found = []
    for topic, count in topics.items():
        found += [
            replace(one, input=f"{topic} {text(one_number)[-20:]}", confidence=0.5)
            for one_number, one in enumerate(candidates(count, start=len(found)), len(found))
        ]
    items = choose(found, workload=shares(uncertain=1.0), budget=4)
    beginnings = {item.input.split()[0] + item.input.split()[1] for item in items}
    assert len(beginnings) == 3


def test_near_duplicates_are_not_sent_twice():
    """Neither in one batch, nor of what was asked before."""
    report = "the hydraulic press on line four leaks oil onto the floor near the exit"
    again = [
        replace(one, input=report + mark, confidence=0.4)
        for one, mark in zip(candidates(4), ("", ".", " !", "s"), strict=True)
    ]
    assert len(choose(again, workload=shares(uncertain=1.0))) == 1
    assert choose(again, workload=shares(uncertain=1.0), known=[report.upper()]) == []


def test_novel_answers_are_far_from_everything_known():
    """A new subject is found among known ones, with its similarity as the reason."""
    known = [text(number) for number in range(200)]
    new = [
        replace(one, input=f"invoice payment refund was declined by bank {text(n)[-12:]}")
        for n, one in enumerate(candidates(3, start=5000), 5000)
    ]
    ordinary = candidates(200, start=200)
    items = choose(ordinary + new, workload=shares(novel=1.0), known=known, budget=8)
    assert {one.inference_id for one in new} & {item.inference_id for item in items}
    assert items[0].inference_id >= "i05000"
    assert items[0].reason.startswith("far from everything known: similarity 0.")
    scores = [item.score for item in items]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score < 1 for score in scores)


def test_without_a_reference_the_novel_share_goes_to_the_others():
    """With nothing known there is no novelty, and its share is spent on uncertain answers."""
    items = choose(candidates(300), workload=shares(uncertain=0.5, novel=0.5), budget=40)
    assert {item.slice for item in items} == {"uncertain"}
    assert len(items) == 40


def test_share_of_zero_gets_nothing_even_when_others_leave_over():
    """A slice that the workload switched off stays off."""
    found = candidates(50, confidence=0.95, flag=("client marked it wrong", 1.0))
    assert choose(found, workload=shares(uncertain=1.0)) == []


def test_flagged_answers_carry_the_clients_words():
    """A client's complaint is the reason, the gravest first."""
    mild = candidates(1, flag=("client commented on it", 0.5))
    grave = candidates(1, start=1, flag=("client marked it wrong", 1.0))
    items = choose(mild + grave, workload=shares(flagged=1.0), budget=2)
    assert [item.reason for item in items] == ["client marked it wrong", "client commented on it"]


def test_newest_complaints_come_first_within_their_weight():
    """By the time of the complaint, not by position."""
    complaints = [
        replace(one, flag=("client marked it wrong", 1.0), flagged_at=START + day * DAY)
        for one, day in zip(candidates(4), (2, 9, 1, 5), strict=True)
    ]
    items = choose(complaints, workload=shares(flagged=1.0), budget=2)
    assert {item.inference_id for item in items} == {"i00001", "i00003"}


def test_other_releases_are_asked_only_as_control_or_complaint():
    """What the present model did not say teaches nothing about its uncertainty."""
    retired = candidates(80, searchable=False)
    complaints = candidates(
        3, start=500, searchable=False, in_window=False, flag=("client marked it wrong", 1.0)
    )
    items = choose(
        retired + complaints + candidates(20, start=900),
        known=[text(number) for number in range(2000, 2100)],
    )
    for item in items:
        if item.slice in {"uncertain", "novel"}:
            assert item.inference_id >= "i00900"
    control = [item for item in items if item.slice == "control"]
    assert any(item.inference_id < "i00100" for item in control)
    assert sum(item.slice == "flagged" for item in items) == 3


def test_overlap_is_drawn_over_the_whole_batch():
    """A part of a tenth of the items, control items among them in the long run."""
    slices = []
    for number in range(30):
        items = choose(candidates(300), budget=60, batch=f"b{number}")
        twice = [item.slice for item in items if item.judgments == 2]
        assert len(items) == 50
        assert len(twice) in {1, 2}  # 0.3 of five
        slices += twice
    assert {"control", "uncertain"} <= set(slices)


def test_thin_traffic_is_judged_twice_by_its_own_share():
    """With fewer answers than the budget pays for, a tenth of the answers is judged twice."""
    drawn_only = classification(review={"overlap_random": 1.0})
    for number in range(10):
        items = choose(
            candidates(12, confidence=0.4), workload=drawn_only, budget=300, batch=f"b{number}"
        )
        assert len(items) == 12
        assert sum(item.judgments == 2 for item in items) in {1, 2}  # 1.2 of twelve


def test_small_batches_are_judged_twice_as_often_as_large_ones():
    """A tenth is a tenth over many days, also of a handful a day."""
    once = twice = 0
    drawn_only = classification(review={"budget": 60, "overlap_random": 1.0})
    for number in range(600):
        items = choose(candidates(40), workload=drawn_only, budget=5, batch=f"b{number}")
        twice += sum(item.judgments == 2 for item in items)
        once += len(items)
    assert 0.07 < twice / once < 0.13


def test_control_and_complaints_come_first_in_the_queue():
    """Priority puts control before flagged before the rest."""
    found = candidates(100) + candidates(20, start=500, flag=("client marked it wrong", 1.0))
    order = [item.slice for item in choose(found)]
    assert order == sorted(order, key=["control", "flagged", "novel", "uncertain"].index)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("boolean", False, "client marked it wrong"),
        ("boolean", True, None),
        ("float", 0.2, "client rated it 0.20"),
        ("float", 0.9, None),
        ("demonstration", "oil fault", None),
        ("demonstration", "heat fault", "client gave another answer"),
        ("comment", "odd", "client commented on it"),
        ("comment", "", None),
    ],
)
def test_feedback_flags_an_answer(kind, value, expected):
    """A complaint flags, praise and agreement do not."""
    flag = flag_of(kind, value, "oil fault")
    assert (flag[0] if flag else None) == expected


def test_five_thousand_candidates_take_seconds_not_minutes():
    """The policy is quick enough for a weekly batch within the demo."""
    found = candidates(5000)
    known = [text(number) for number in range(9000, 10000)]
    choose(found[:10], known=known[:30])  # the sentence vectors are loaded once
    started = time.process_time()
    items = choose(found, budget=400, known=known)
    assert len(items) > 300
    assert time.process_time() - started < 10  # of CPU time; about 1 s


def control_of(items):
    return [item for item in items if item.slice == "control"]


def test_disagreements_with_a_shadow_go_first_and_blind():
    """Half of what the control slice leaves; the annotator sees neither answer, nor why it is asked."""
    found = candidates(400)
    differing = {one.inference_id for one in found[::4]}
    items = choose(found, disagreements=differing)
    asked = [item for item in items if item.slice == "disagreement"]
    rest = len(items) - len(control_of(items))
    assert rest // 2 <= len(asked) < rest
    assert {item.inference_id for item in asked} <= differing
    others = [item.priority for item in items if item.slice not in ("control", "disagreement")]
    assert min(item.priority for item in asked) > max(others)
    for item in asked:
        assert (item.model_output, item.measures, item.inclusion_probability) == (None, True, None)
        task = task_of(classification(), item)
        control = task_of(classification(), control_of(items)[0])
        assert task["data"]["slice"] == control["data"]["slice"] == "control"
        assert task["data"]["why"] == control["data"]["why"]
        assert task["predictions"] == []
        assert not {"suggestion", "confidence"} & set(task["meta"])
        assert (truth_of(found, item) in json.dumps(task)) == (truth_of(found, item) in item.input)


def truth_of(found, item):
    return next(one.output for one in found if one.inference_id == item.inference_id)


def test_disagreements_leave_the_control_slice_as_it_is():
    """It is drawn before, by a hash of its own: the same items at the same places, in any batch."""
    found = candidates(300)
    differing = {one.inference_id for one in found[::3]}
    for number in range(20):
        plain = control_of(choose(found, batch=f"b{number}"))
        beside = control_of(choose(found, batch=f"b{number}", disagreements=differing))
        # Who is asked twice is a draw over all items, whatever they are for.
        assert [replace(i, judgments=1) for i in plain] == [replace(i, judgments=1) for i in beside]


def test_few_disagreements_leave_the_rest_to_the_other_slices():
    """And one that was chosen as uncertain is asked blind too."""
    found = candidates(400)
    items = choose(found, disagreements={"i00000", "i00035"})
    plain = choose(found)
    assert len(items) == len(plain)
    blind = {item.inference_id for item in items if item.slice == "disagreement"}
    assert blind <= {"i00000", "i00035"}
    assert blind
    assert {i.slice for i in items} - {"disagreement"} == {i.slice for i in plain}


def test_no_disagreement_changes_nothing():
    """Ids that are not among the candidates neither."""
    found = candidates(300)
    assert (
        choose(found, disagreements=())
        == choose(found, disagreements={"elsewhere"})
        == choose(found)
    )

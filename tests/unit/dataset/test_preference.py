"""Which corrections make a preference pair, and how the snapshot keeps them."""

import json
from datetime import UTC, datetime

import pytest

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.artifacts.snapshot import read_rows, verify_snapshot
from flywheel.dataset.build import build_dataset
from flywheel.dataset.examples import Example, Excluded, example_from
from flywheel.dataset.lineage import snapshots_with_inference
from flywheel.dataset.preference import Disputes, Preference, choose_pairs, edited
from flywheel.lake.views import label_checks_batch
from flywheel.review.sampling.sent_items import item_rows
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import PreferenceRecipe, Workload
from tests.fakes.replies import draft, replies, reply, ticket
from tests.fakes.review_items import review_item
from tests.fakes.review_world import (
    END,
    START,
    classification,
    correction,
    extraction,
    put_corrections,
    text,
    truth,
)

# Of the rows that these tests build from, as the code before preference training hashed them.
HASH_WITHOUT_PREFERENCE = "bcfdff23173cf69da6d616bc350e8681"
FREE = PreferenceRecipe(length_bias=1)


def example(workload: Workload, number: int, output: object, original: object) -> Example:
    """Return one training example with its replaced answer."""
    found = example_from(
        AnswerMapping(workload),
        {
            "inference_id": f"i{number}",
            "correction_id": f"c{number}",
            "input": text(number),
            "output": output,
            "original_output": original,
        },
        "",
    )
    assert isinstance(found, Example)
    return found


def choose(
    workload: Workload,
    examples: list[Example],
    recipe: PreferenceRecipe = FREE,
    disputes: Disputes | None = None,
) -> Preference:
    """Choose with nothing disputed."""
    mapping = AnswerMapping(workload)
    return choose_pairs(workload, mapping, recipe, examples, disputes or Disputes())


def reasons(found: Preference) -> dict[str, str]:
    """Return why a correction makes no pair, by its inference."""
    return {one.example.inference_id: one.reason for one in found.excluded}


def report(**fields: object) -> dict[str, object]:
    """Return an answer of the extraction workload."""
    return {"category": "oil fault", "urgency": "low", "note": "near the door", **fields}


@pytest.mark.parametrize(
    ("rejected", "expected"),
    [
        (report(), (0, 0)),
        (report(note="Near the door!"), (0, 0)),
        (report(note="near the doors"), (1, 0)),
        (report(note="near the dome"), (1, 1)),  # exactly the two characters that are asked for
        (report(note="near the window"), (1, 1)),
        (report(urgency="high"), (1, 1)),
        (report(count=3), (1, 1)),
        (report(category="heat fault", note="near the doors"), (2, 1)),
        ({"category": "oil fault", "urgency": "low"}, (1, 1)),
    ],
)
def test_edits_are_counted_by_field(rejected: dict, expected: tuple):
    """Spelling is no edit; a label, a choice, a number or a missing field always is."""
    assert edited(extraction(), report(), rejected, minimum_characters=2) == expected


def test_answers_that_differ_in_spelling_alone_make_no_pair():
    """A pair must show a difference that matters, in as many fields as the recipe says."""
    workload = extraction()
    examples = [
        example(workload, 1, report(), report(note="near the Door")),
        example(workload, 2, report(), report(note="near the doors")),
        example(workload, 3, report(), report(urgency="high")),
        example(workload, 4, report(), report(urgency="high", note="in the yard")),
    ]
    found = choose(workload, examples)
    assert reasons(found) == {"i1": "no_edit", "i2": "small_edit"}
    stricter = choose(workload, examples, FREE.model_copy(update={"minimum_fields": 2}))
    assert [one.inference_id for one in stricter.pairs] == ["i4"]
    assert reasons(stricter)["i3"] == "small_edit"


@pytest.mark.parametrize("original", ["sparks", {"category": "oil fault"}, 3])
def test_what_was_no_answer_is_not_rejected(original: object):
    """An original that no mask would let through teaches nothing."""
    workload = classification()
    found = choose(workload, [example(workload, 0, "oil fault", original)])
    assert reasons(found) == {"i0": "rejected_not_an_answer"}


def test_disputed_items_make_no_pair():
    """Neither the item that people disagreed about, nor another with the same text."""
    workload = classification()
    examples = [example(workload, number, "oil fault", "heat fault") for number in range(4)]
    disputes = Disputes(frozenset({"i1"}), frozenset({examples[2].input_hash}))
    found = choose(workload, examples, disputes=disputes)
    assert reasons(found) == {"i1": "disputed", "i2": "disputed"}
    assert [one.inference_id for one in found.pairs] == ["i0", "i3"]


def test_pairs_that_favor_a_length_are_dropped():
    """Whichever side is longer, it is so by no more than the bound; what is left is told."""
    workload = extraction()
    fair = [
        example(workload, n, report(note="x" * 40 + str(n)), report(note="y" * 40 + str(n)))
        for n in range(8)
    ]
    long = [example(workload, n, report(note="z" * 400), report(note="y")) for n in range(8, 11)]
    bound = PreferenceRecipe(length_bias=0.1)
    found = choose(workload, [*fair, *long], bound)
    assert set(reasons(found).values()) == {"length_bias"}
    assert set(reasons(found)) == {"i8", "i9", "i10"}
    assert found.length_difference <= 0.1 < found.length_difference_before
    swapped = [example(workload, int(e.inference_id[1:]), json.loads(e.rejected or ""), e.output)
               for e in [*fair, *long]]  # fmt: skip
    assert set(reasons(choose(workload, swapped, bound))) == {"i8", "i9", "i10"}
    assert len(choose(workload, [*fair, *long], FREE).pairs) == 11


def test_pairs_that_all_favor_one_length_leave_none():
    """A bias that dropping cannot balance leaves no pair rather than a biased set."""
    workload = extraction()
    examples = [example(workload, n, report(note="z" * 300), report(note="y")) for n in range(5)]
    found = choose(workload, examples, PreferenceRecipe(length_bias=0.1))
    assert (found.pairs, found.length_difference) == ([], 0)
    assert found.to_facts()["exclusions"] == {"length_bias": 5}


def test_length_difference_of_exactly_the_bound_is_kept():
    """The bound is the largest difference that is allowed, not the smallest that is not."""
    workload = classification()
    examples = [example(workload, n, "heat fault", "oil fault") for n in range(4)]
    difference = choose(workload, examples).length_difference
    assert difference > 0
    at_bound = choose(workload, examples, PreferenceRecipe(length_bias=difference))
    assert len(at_bound.pairs) == 4
    below = choose(workload, examples, PreferenceRecipe(length_bias=difference * 0.99))
    assert below.pairs == []


def test_lengths_of_a_single_pair_are_its_own():
    """One pair is the mean of one, whichever of its sides is longer."""
    workload = classification()
    found = choose(workload, [example(workload, 0, "heat fault", "oil fault")])
    text = AnswerMapping(workload).text
    lengths = len(text("heat fault")), len(text("oil fault"))
    assert (found.chosen_length, found.rejected_length) == lengths
    assert found.length_difference == pytest.approx(1 - lengths[1] / lengths[0])


def test_manifest_rounds_what_it_says_about_lengths():
    """Characters to two decimals, shares to four: a snapshot's facts are the same everywhere."""
    facts = Preference([], [], 1.23456, 2.34567, 0.123456, 0.234567).to_facts()
    assert facts == {
        "pairs": 0,
        "exclusions": {},
        "chosen_length": 1.23,
        "rejected_length": 2.35,
        "length_difference": 0.1235,
        "length_difference_before": 0.2346,
    }


def test_choice_does_not_depend_on_the_order():
    """The same rows in any order make the same pairs in the same order."""
    workload = classification()
    labels = ["oil fault", "heat fault", "noise fault"]
    examples = [example(workload, n, labels[n % 3], labels[(n + 1 + n % 2) % 3]) for n in range(20)]
    recipe = PreferenceRecipe(length_bias=0.02)
    one, other = choose(workload, examples, recipe), choose(workload, examples[::-1], recipe)
    assert one.pairs == other.pairs
    assert one.to_facts() == other.to_facts()


def asking(**recipe: object) -> Workload:
    """Return the workload with preference training."""
    return classification(training={"preference": {"length_bias": 1, **recipe}})


def put_rows(lake, **changes) -> None:
    """Put forty corrected rows into the lake."""
    found = [correction(n, original_output="oil fault", **changes) for n in range(40)]
    put_corrections(lake, classification(), found)


def build(lake, home, workload):
    """Build a snapshot."""
    return build_dataset(
        lake, OpenedWorkload(CycleRef(workload.id, "2026Q2-1"), workload), home=home, now=END
    )


def test_snapshot_without_the_section_keeps_its_hash(lake, tmp_path):
    """A workload that does not ask for pairs gets the snapshot that it always got."""
    put_rows(lake)
    snapshot = build(lake, tmp_path, classification())
    assert snapshot.hash == HASH_WITHOUT_PREFERENCE
    assert snapshot.preference == {}


def test_snapshot_keeps_pairs_in_its_hash_and_tells_about_them(lake, tmp_path):
    """Pairs are rows of the snapshot; manifest and lineage say what made none and why."""
    put_rows(lake)
    workload = asking()
    odd = read_rows(build(lake, tmp_path, workload).folder, "preference")[0]["inference_id"]
    again = correction(int(odd[1:]), version=2, original_output="sparks")
    put_corrections(lake, workload, [again])
    snapshot = build(lake, tmp_path, workload)
    assert verify_snapshot(snapshot.folder) == snapshot
    pairs = read_rows(snapshot.folder, "preference")
    train = {row["inference_id"]: row for row in read_rows(snapshot.folder, "train")}
    assert snapshot.preference["pairs"] == len(pairs) == snapshot.counts["preference"]
    assert {pair["inference_id"] for pair in pairs} <= set(train)
    assert all(pair["chosen"] != pair["rejected"] for pair in pairs)
    assert all(pair["prompt"] == train[pair["inference_id"]]["prompt"] for pair in pairs)
    assert snapshot.preference["exclusions"] == {"rejected_not_an_answer": 1}
    splits = {
        (found.split, found.reason)
        for found in snapshots_with_inference(lake, "defects", odd)
        if found.snapshot == snapshot.hash
    }
    assert splits == {("train", None), ("no_pair", "rejected_not_an_answer")}
    some = pairs[0]["inference_id"]
    found = snapshots_with_inference(lake, "defects", some)
    assert {one.split for one in found} == {"train", "preference"}
    lines = (snapshot.folder / "preference.jsonl").read_text().splitlines()
    fewer = build(lake, tmp_path, asking(minimum_fields=2))  # a label is one field: no pair left
    assert fewer.hash != snapshot.hash
    assert fewer.counts["preference"] == 0 < len(lines)


def test_control_and_golden_rows_make_no_pair(lake, tmp_path):
    """Nothing that a model is judged by, nor its near-duplicate, is ever preferred."""
    put_rows(lake)
    held = [
        correction(n, slice="control", original_output="heat fault", event_time=START)
        for n in range(100, 120)
    ]
    twins = [
        correction(n + 100, input=text(n) + "!", output=truth(n), original_output="heat fault")
        for n in range(100, 120)
    ]
    put_corrections(lake, classification(), held + twins)
    snapshot = build(lake, tmp_path, asking())
    pairs = {row["inference_id"] for row in read_rows(snapshot.folder, "preference")}
    judged = {
        row["inference_id"]
        for split in ("golden", "holdout", "must_not_lose")
        for row in read_rows(snapshot.folder, split)
    }
    assert snapshot.counts["holdout"] == 20
    assert pairs
    assert not pairs & judged
    assert not pairs & {one["inference_id"] for one in twins}


def test_disputes_of_the_lake_make_no_pair(lake, tmp_path):
    """An overlap disagreement, settled by a third person or waiting, is no clear preference."""
    put_rows(lake)
    workload = asking()
    before = {
        row["inference_id"]
        for row in read_rows(build(lake, tmp_path, workload).folder, "preference")
    }
    settled, once, same_text = sorted(before)[:3]
    item = review_item(workload, inference_id=settled, slice="adjudication", input="another text")
    lake.append("review_items", item_rows([item], {settled: datetime(2026, 1, 1, tzinfo=UTC)}))
    number = int(once[1:])
    disputed = correction(number, version=0, status="disputed", output=None)
    twin = correction(900, input=text(int(same_text[1:])), status="disputed", output=None)
    put_corrections(lake, workload, [disputed, twin])
    snapshot = build(lake, tmp_path, workload)
    after = {row["inference_id"] for row in read_rows(snapshot.folder, "preference")}
    assert before - after == {settled, once, same_text}
    assert snapshot.preference["exclusions"] == {"disputed": 3}


def test_label_check_is_a_dispute_only_where_it_changed_the_answer(lake, tmp_path):
    """A check that confirmed the label bars neither its correction nor the rows of its text."""
    put_rows(lake)
    workload = asking()
    pairs = read_rows(build(lake, tmp_path, workload).folder, "preference")
    before = {row["inference_id"] for row in pairs}
    confirmed, waiting, changed = sorted(before)[:3]
    name = label_checks_batch("2026Q2")
    batch = {"slice": "adjudication", "batch_id": name, "batch_kind": "labels"}
    checks = [
        review_item(workload, n, inference_id=name, input=text(int(name[1:])), **batch)
        for n, name in enumerate((confirmed, waiting, changed))
    ]
    times = {check.inference_id: datetime(2026, 1, 1, tzinfo=UTC) for check in checks}
    lake.append("review_items", item_rows(checks, times))
    again = correction(int(confirmed[1:]), version=2, original_output="oil fault")
    old = correction(int(changed[1:]), version=0, output="noise fault")
    put_corrections(lake, workload, [again, old])
    snapshot = build(lake, tmp_path, workload)
    after = {row["inference_id"] for row in read_rows(snapshot.folder, "preference")}
    assert before - after == {changed}
    assert snapshot.preference["exclusions"] == {"disputed": 1}


def test_edits_of_a_draft_make_pairs():
    """The accepted text is preferred to its draft, unless the edit is a matter of spelling."""
    workload = replies()
    mapping = AnswerMapping(workload)
    drafts = {3: draft(3), 4: draft(4), 5: reply(5).replace("We are", "we are"), 6: reply(6)}
    train = [example(workload, number, reply(number), text) for number, text in drafts.items()]
    chosen = choose_pairs(workload, mapping, FREE, train, Disputes())
    assert [one.inference_id for one in chosen.pairs] == ["i3", "i4"]
    assert [(one.example.inference_id, one.reason) for one in chosen.excluded] == [
        ("i5", "no_edit")
    ]
    strict = FREE.model_copy(update={"minimum_characters": 20})
    small = choose_pairs(workload, mapping, strict, train, Disputes())
    assert ("i4", "small_edit") in [
        (one.example.inference_id, one.reason) for one in small.excluded
    ]


@pytest.mark.parametrize(
    ("rejected", "expected"),
    [("near the Door!", (0, 0)), ("near the doors", (1, 0)), ("near the dome", (1, 1))],
)
def test_edit_of_a_draft_counts_from_the_smallest_that_is_asked_for(rejected: str, expected: tuple):
    """A draft that differs in exactly so many characters makes a pair, one of fewer does not."""
    assert edited(replies(), "near the door", rejected, minimum_characters=2) == expected
    # A long text, in which every character is frequent, is compared as exactly.
    left, right = "near the door " * 30, rejected + " near the door" * 29
    assert edited(replies(), left, right, minimum_characters=2) == expected


def test_a_text_that_breaks_the_rules_is_not_trained_on():
    """People may accept it; a model is not taught it."""
    row = {"inference_id": "i", "correction_id": "c", "input": ticket(1), "output": "No."}
    found = example_from(AnswerMapping(replies()), row, "")
    assert isinstance(found, Excluded)
    assert found.reason == "breaks_rules"

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from flywheel.artifacts.snapshot import FixedCase
from flywheel.dataset.assembly import Assembly, Earlier, assemble, check_leakage, in_force
from flywheel.dataset.control_windows import control_windows
from flywheel.dataset.conversations import Conversations
from flywheel.dataset.examples import Example
from flywheel.errors import LeakageError
from flywheel.similarity.normal_form import input_hash
from tests.fakes.review_world import START, classification, text, truth

EVERYTHING = control_windows(holdout_since=None)
LATER = START + timedelta(days=90)


def example(number, **changes):
    """Return one accepted example."""
    one = Example(
        inference_id=f"i{number:05d}",
        correction_id=f"c{number:05d}",
        input=text(number),
        output=truth(number),
        label_id=truth(number).split()[0],
        key=truth(number),
        input_hash="",
        slice="uncertain",
        event_time=START,
    )
    one = replace(one, **changes)
    return replace(one, input_hash=input_hash(one.input))


def put(found, **options):
    """Assemble with the defaults of these tests."""
    options = {"golden": None, "windows": EVERYTHING, "earlier": Earlier()} | options
    options["earlier"] = in_force(options["earlier"], found, options["windows"])
    return assemble(classification(golden_size=20), found, **options)


def reasons(assembly):
    """Return why each row was left out, by inference id."""
    return {one.example.inference_id: one.reason for one in assembly.excluded}


def ids(examples):
    """Return the inference ids."""
    return {one.inference_id for one in examples}


def test_every_row_is_in_one_place():
    """No row is lost and none is in two splits."""
    found = [example(n) for n in range(100)]
    found += [example(n, slice="control") for n in range(100, 130)]
    made = put(found)
    places = [*made.train, *made.evaluation, *(one.example for one in made.excluded)]
    assert sorted(one.inference_id for one in places) == sorted(ids(found))
    assert (len(made.golden), len(made.holdout)) == (20, 30)


def test_order_of_the_rows_does_not_matter():
    """The same rows in any order make the same splits."""
    found = [example(n) for n in range(60)] + [example(n, slice="control") for n in range(60, 70)]
    shuffled = random.Random(2).sample(found, len(found))  # noqa: S311 - test order
    one, other = put(found), put(shuffled)
    for split in ("train", "golden", "holdout", "must_not_lose"):
        assert ids(getattr(one, split)) == ids(getattr(other, split))
    assert reasons(one) == reasons(other)


def test_control_rows_are_held_out_while_a_figure_rests_on_them():
    """Recent ones are the holdout; one that only another figure needs stays out with the reason."""
    found = [example(n) for n in range(40)]
    found += [example(50, slice="control"), example(51, slice="control", event_time=LATER)]
    windows = control_windows(holdout_since=LATER, champion="defects.r1", calibrated_on={"i00050"})
    made = put(found, windows=windows)
    assert ids(made.holdout) == {"i00051"}
    assert reasons(made) == {"i00050": "control_slice"}


def test_released_rows_are_free_and_the_others_stay_out_by_id_and_text():
    """What is still held out is barred twice: as an inference, and as a text."""
    held = Earlier(
        frozenset({"before"}), frozenset({"text before"}), frozenset({"golden"}),
        frozenset({("i1", "one"), ("i2", "two"), ("i3", "two")}),
    )  # fmt: skip
    assert held.unless_released({"i1", "i2"}) == Earlier(
        frozenset({"before", "i3"}), frozenset({"text before", "two"}), frozenset({"golden"})
    )


def test_control_row_trains_once_no_figure_rests_on_it():
    """It was held out by an earlier gate, and nothing measures with it any more."""
    found = [example(n) for n in range(40)] + [example(50, slice="control")]
    held = Earlier(holdout=frozenset({("i00050", input_hash(text(50)))}))
    windows = control_windows(holdout_since=LATER)
    made = put(found, windows=windows, earlier=held, golden=[])
    assert "i00050" in ids(made.train)
    check_leakage(made, in_force(held, found, windows), 0.85, windows)
    with pytest.raises(LeakageError):
        check_leakage(made, held, 0.85, windows)


def test_released_row_stays_out_where_its_text_is_still_measured_with():
    """The leakage guard looks at the text: of two control rows with one text, one is held out."""
    long = "pump leaks oil onto the floor beside line four and the exit"
    found = [example(n) for n in range(40)]
    found += [
        example(50, input=long, slice="control"),
        example(51, input=long + "s", slice="control", event_time=LATER),
    ]
    made = put(found, windows=control_windows(holdout_since=LATER), golden=[])
    assert ids(made.holdout) == {"i00051"}
    assert reasons(made)["i00050"] == "leakage"


def test_text_that_was_held_out_twice_waits_for_both_rows():
    """A calibration still rests on the other row, which has the same text."""
    found = [example(n) for n in range(40)]
    found += [example(50, slice="control"), example(51, input=text(50), slice="control")]
    held = frozenset({("i00050", input_hash(text(50))), ("i00051", input_hash(text(50)))})
    windows = control_windows(holdout_since=LATER, champion="r1", calibrated_on={"i00051"})
    made = put(found, windows=windows, earlier=Earlier(holdout=held), golden=[])
    assert reasons(made) == {"i00050": "leakage", "i00051": "control_slice"}


@pytest.mark.parametrize("where", ["golden", "fixed"])
def test_golden_and_fixed_control_rows_are_never_released(where):
    """Whatever was in a lasting evaluation set is measured with for ever."""
    row = example(50, slice="control")
    earlier = Earlier(frozenset({"i00050"}), frozenset({row.input_hash}))
    options = (
        {"golden": [row]}
        if where == "golden"
        else {
            "fixed": {"i00050": FixedCase()},
            "golden": [],
        }
    )
    windows = control_windows(holdout_since=LATER)
    found = [example(n) for n in range(40)]
    for made in (
        put([*found, row], windows=windows, earlier=earlier, **options),
        put([*found, row], windows=windows, earlier=earlier, golden=[]),
    ):
        assert "i00050" not in ids(made.train)


def test_golden_set_is_stratified_and_leaves_half_of_every_label():
    """Labels are drawn in proportion; a rare one keeps rows to learn from."""
    rare = [example(n, label_id="rare", key="rare") for n in (900, 901)]
    made = put([example(n) for n in range(60)] + rare)
    count = dict.fromkeys(("oil", "noise", "heat", "rare"), 0)
    for one in made.golden:
        count[one.label_id] += 1
    assert count == {"heat": 7, "noise": 6, "oil": 6, "rare": 1}


def test_golden_set_comes_from_the_seed_first():
    """The labeled seed was not chosen for being difficult, so it is drawn before the rest."""
    found = [example(n) for n in range(60)] + [example(n, seed=True) for n in range(60, 120)]
    assert all(one.seed for one in put(found).golden)


def test_frozen_golden_set_is_carried_unchanged():
    """With a frozen set nothing is drawn, and nothing in it is trained on."""
    frozen = [example(n) for n in range(5)]
    made = put([example(n) for n in range(50)], golden=frozen)
    assert made.golden == frozen
    assert not ids(made.train) & ids(frozen)
    assert len(made.train) == 45


def test_golden_rows_of_an_unpromoted_cycle_are_drawn_again():
    """What was in a golden set is not wasted: it is drawn first the next time."""
    found = [example(n) for n in range(100)]
    first = put(found)
    earlier = Earlier(
        frozenset(ids(first.golden)),
        frozenset(one.input_hash for one in first.golden),
        frozenset(ids(first.golden)),
    )
    more = put(found + [example(n) for n in range(100, 200)], earlier=earlier)
    assert ids(more.golden) == ids(first.golden)
    assert "leakage" not in reasons(more).values()


def test_same_input_with_two_answers_is_a_conflict():
    """All rows of a conflict are set aside, whatever their spelling."""
    found = [example(n) for n in range(40)]
    found += [
        example(50, input="It LEAKS!", key="oil fault"),
        example(51, input="it leaks", key="heat fault"),
    ]
    made = put(found)
    assert reasons(made) == {"i00050": "conflict", "i00051": "conflict"}


@pytest.mark.parametrize(
    ("others", "control", "conflicts"),
    [
        ("aaa", "b", "b"),
        ("a", "bb", "bb"),
        ("a", "ab", "b"),
        ("ab", "a", "aba"),
        ("", "aab", "b"),
        ("", "ab", "ab"),
        ("", "aabb", "aabb"),
        ("", "aabbc", "aabbc"),
    ],
)
def test_released_control_row_gives_way_in_a_conflict(others, control, conflicts):
    """It gives way to the other rows of its text; among control rows alone most of them decide."""
    found = [example(n) for n in range(40)]
    slices = ["uncertain"] * len(others) + ["control"] * len(control)
    for number, (key, slice_) in enumerate(zip(others + control, slices, strict=True), start=50):
        found.append(example(number, input="it leaks", key=key, slice=slice_))
    made = put(found, windows=control_windows(holdout_since=LATER), golden=[])
    left_out = [one.example for one in made.excluded if one.reason == "conflict"]
    assert sorted(one.key for one in left_out) == sorted(conflicts)


def test_repeated_inputs_are_kept_once():
    """Of equal rows one stays, the one that shows a rejected answer."""
    found = [example(n) for n in range(40)]
    found += [
        example(50, input="pump leaks oil onto the floor beside line four and the exit"),
        example(51, input="PUMP leaks oil onto the floor, beside line four and the exit"),
        example(
            52,
            input="pump leaks oil onto the floor beside line four and the exit.",
            rejected="heat fault",
        ),
        example(53, input="pumps leaks oil onto the floor beside line four and the exit"),
    ]
    found = [replace(one, key="x", label_id="x") for one in found[40:]] + found[:40]
    made = put(found)
    assert reasons(made) == {
        "i00050": "duplicate",
        "i00051": "duplicate",
        "i00053": "near_duplicate",
    }


def test_nearly_one_text_with_two_answers_stays():
    """What tells two answers apart is worth learning."""
    long = "pump leaks oil onto the floor beside line four and the exit"
    found = [example(n) for n in range(40)]
    found += [example(50, input=long, key="a"), example(51, input=long + "s", key="b")]
    made = put(found, golden=[])
    assert {"i00050", "i00051"} <= ids(made.train)


@pytest.mark.parametrize("suffix", ["", "!", "s"])
def test_train_row_that_repeats_an_evaluation_row_is_left_out(suffix):
    """Exact and near repetitions of a holdout row leak."""
    long = "pump leaks oil onto the floor beside line four and the exit"
    found = [example(n) for n in range(40)]
    found += [example(50, input=long, slice="control"), example(51, input=long + suffix)]
    assert reasons(put(found))["i00051"] == "leakage"


def test_rows_of_earlier_evaluation_sets_are_never_trained_on():
    """By id, and by input where the id is another."""
    found = [example(n) for n in range(40)]
    earlier = Earlier(frozenset({"i00003"}), frozenset({input_hash(text(4))}))
    for golden in (None, []):
        made = put(found, earlier=earlier, golden=golden)
        assert {"i00003", "i00004"} & ids(made.train) == set()
        check_leakage(made, earlier, 0.85, EVERYTHING)


def test_fixed_cases_are_a_suite_of_their_own():
    """They are judged and not trained on, wherever they came from."""
    found = [example(n) for n in range(40)] + [example(50, slice="control")]
    made = put(found, fixed={"i00050": FixedCase(), "i00001": FixedCase()}, golden=[])
    assert ids(made.must_not_lose) == {"i00050", "i00001"}
    assert not made.holdout
    assert "i00001" not in ids(made.train)


def test_named_cases_are_in_the_same_suite():
    """A case that a person named is held out of training, whether it was ever fixed or not."""
    workload = classification(golden_size=20, gates={"must_hold": ["i00002", "unknown"]})
    found = [example(n) for n in range(60)]
    made = assemble(workload, found, golden=None, windows=EVERYTHING, fixed={"i00001": FixedCase()})
    assert ids(made.must_not_lose) == {"i00001", "i00002"}
    assert not {"i00001", "i00002"} & (ids(made.train) | ids(made.golden))


def test_golden_set_larger_than_half_takes_half_of_every_label():
    """However many are asked for, each label keeps the larger half to learn from."""
    rare = [example(n, label_id="rare", key="rare") for n in range(900, 905)]
    found = [example(n) for n in range(60)] + rare
    made = assemble(classification(golden_size=500), found, golden=None, windows=EVERYTHING)
    for label in ("oil", "noise", "heat", "rare"):
        count = sum(one.label_id == label for one in found)
        taken = sum(one.label_id == label for one in made.golden)
        trained = sum(one.label_id == label for one in made.train)
        assert (taken, trained) == (count // 2, count - count // 2)


@pytest.mark.parametrize(
    "wrong",
    [
        example(1),
        example(2, input=text(1).upper()),
        example(3, input=text(1) + "s"),
        example(4, slice="control"),
        example(5, correction_id="c00001"),
    ],
    ids=["row", "input", "near", "control", "correction"],
)
def test_final_check_finds_every_kind_of_overlap(wrong):
    """A leak that slipped through stops the build."""
    made = Assembly(train=[example(9), wrong], golden=[example(1)], holdout=[], must_not_lose=[])
    with pytest.raises(LeakageError):
        check_leakage(made, Earlier(), 0.85, EVERYTHING)


def test_final_check_looks_at_earlier_cycles_too():
    """An evaluation row of an earlier snapshot in the training set stops the build."""
    made = Assembly(train=[example(9)], golden=[example(1)], holdout=[], must_not_lose=[])
    check_leakage(made, Earlier(), 0.85, EVERYTHING)
    for earlier in (Earlier(frozenset({"i00009"})), Earlier(input_hashes={input_hash(text(9))})):
        with pytest.raises(LeakageError):
            check_leakage(made, earlier, 0.85, EVERYTHING)


_LONG = "User: my car was hit by a tree this morning, in the yard"


def test_no_conversation_is_on_both_sides():
    """A call early in a conversation and a later one of it: by their turns, or by the id."""
    later = f"{_LONG}\nAssistant: Sorry. Where is it now?\nUser: at home"
    told = [
        example(200, slice="control", input=later),
        example(201, input=_LONG),
        example(202, input=f"{later}\nAssistant: Thanks. Anything else?\nUser: when do you come?"),
        example(203, input=_LONG.replace("tree", "deer, I think it was a deer")),
        example(
            204, input="User: hi\nAssistant: Hello, how may I help you with your policy today?"
        ),
        example(205, slice="control", input="User: hi"),
        example(206, slice="control", input="User: and now?"),
        example(207, input="User: what became of the claim of last week? I wait for it"),
    ]
    calls = {"i00206": ("app", "c9"), "i00207": ("app", "c9")}
    known = Conversations(are_inputs=True, ids=calls)
    made = put([example(n) for n in range(100)] + told, conversations=known)
    leaked = {name for name, reason in reasons(made).items() if reason == "leakage"}
    assert {"i00201", "i00202", "i00207"} <= leaked
    assert {"i00203", "i00204"} <= ids([*made.train, *made.golden])
    moved = replace(made, train=[*made.train, told[1]])
    check_leakage(moved, Earlier(), 0.85, EVERYTHING)
    with pytest.raises(LeakageError):
        check_leakage(moved, Earlier(), 0.85, EVERYTHING, known)

"""An audit of logs: tasks by their prompt, samples of bounded size, a ranking with its reasons."""

import random

import pytest

from flywheel.economics import task_groups
from flywheel.economics.logged_call import LoggedCall, logged_call
from flywheel.economics.narrowness import judge_narrowness
from flywheel.economics.prices import Prices
from flywheel.economics.samples import DistinctCounts, Reservoir
from flywheel.economics.task_groups import VARYING, TaskGroups
from flywheel.economics.task_ranking import rank_tasks
from flywheel.events.foreign import read_call
from tests.fakes.foreign_records import RECORDS

SYSTEM = (
    "You sort support tickets of a bank into one of twelve categories and answer with its name "
    "alone. Today is "
)


def call(number: int, **changes) -> LoggedCall:
    """Return a call with a text of its own, 100 and 2 tokens."""
    fields = {
        "client": None, "model": "big", "system": f"{SYSTEM}2026-01-{number % 28:02d}.",
        "opening": f"ticket {number}", "asked": f"ticket {number}", "answer": f"label {number % 12}",
        "failed": False, "input_tokens": 100, "output_tokens": 2, "seconds": 0.5, "at": None,
    }  # fmt: skip
    return LoggedCall(**fields | changes)


def grouped(calls) -> list:
    """Return the groups of some calls."""
    groups = TaskGroups()
    for one in calls:
        groups.add(one)
    return list(groups.tasks())


def test_a_system_prompt_is_one_task_whatever_comes_behind_it():
    """Dates and texts behind the instruction do not make tasks of their own."""
    [group] = grouped(call(number) for number in range(50))
    assert (group.calls, group.system.split()[:4]) == (50, ["You", "sort", "support", "tickets"])


def test_instructions_inside_the_users_text_are_told_apart():
    """Where the system prompt says little, the first words of the user's text name the task."""
    plain = {"system": "You are helpful.", "answer": "x"}
    summaries = [
        call(n, opening=f"Summarize this letter in a sentence: {n}", **plain) for n in range(30)
    ]
    others = [call(n, opening=f"{chr(97 + n)} says hello", **plain) for n in range(25)]
    groups = grouped([*summaries, *others])
    assert [(group.opening, group.calls) for group in groups] == [
        ("Summarize this letter in a", 30),
        (VARYING, 25),
    ]
    assert len(groups[1].texts.items) == 25


def test_groups_stay_bounded(monkeypatch):
    """A million different prompts do not fill the memory, and no call is lost."""
    monkeypatch.setattr(task_groups, "_MOST_GROUPS", 40)
    words = random.Random(1)  # noqa: S311
    texts = [" ".join(f"w{words.random()}" for _ in range(20)) for _ in range(1_000)]
    groups = TaskGroups()
    for number, text in enumerate(texts):
        groups.add(call(number, system=text if number % 2 else "", opening=text))
        assert len(groups._groups) <= 42
    assert sum(group.calls for group in groups.tasks()) == 1_000


def test_repetition_of_a_sample_is_that_of_the_whole():
    """40,000 texts, half of which came before, in a sample of 500 distinct ones."""
    counts = DistinctCounts(500)
    for number in range(40_000):
        counts.add(f"text {number % 20_000}")
    assert not counts.is_complete
    assert counts.repetition == pytest.approx(0.5, abs=0.01)
    assert counts.distinct == pytest.approx(20_000, rel=0.15)


def test_merged_counts_are_those_of_all():
    """Two halves counted apart, one of them sampled."""
    one, two = DistinctCounts(100), DistinctCounts(100)
    for number in range(2_000):
        one.add(str(number))
        two.add(str(number))
    one.merge(two)
    assert one.repetition == pytest.approx(0.5)


def test_reservoir_is_uniform():
    """Every item of the stream has the same chance to be in the sample."""
    hits = [0] * 20
    for seed in range(800):
        sample: Reservoir[int] = Reservoir(5, seed)
        for number in range(20):
            sample.add(number)
        for number in sample:
            hits[number] += 1
    assert min(hits) > 150
    assert max(hits) < 250


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ([f"Label {n % 7}." for n in range(100)], "labels"),
        ([f'{{"total": {n}, "currency": "EUR"}}' for n in range(100)], "fields"),
        ([f'```json\n{{"total": {n}}}\n```' for n in range(100)], "fields"),
        ([f"Your parcel {n} arrives tomorrow." for n in range(100)], "short texts"),
        ([f"{n} " + "word " * 200 for n in range(100)], "free texts"),
        (["a"] * 5, "unknown"),
    ],
)
def test_narrowness(answers, kind):
    """A few labels, fixed fields, short or free texts."""
    counts = DistinctCounts(1_000)
    for answer in answers:
        counts.add(answer.casefold())
    assert judge_narrowness(answers, counts).kind == kind


def test_what_is_tuned_first_is_what_can_be_saved():
    """A dear narrow task comes before a dearer one of free texts; a repeated one is for a cache."""
    narrow = [call(n) for n in range(400)]
    long = {
        "system": "",
        "opening": "Write a letter to the customer about this: it",
        "output_tokens": 400,
    }
    free = [call(n, answer=f"{n} " + "word " * 200, **long) for n in range(400)]
    cached = [
        call(n, client="bot", input_tokens=4_000, asked=f"ticket {n % 4} of a@example.com")
        for n in range(400)
    ]
    prices = Prices.model_validate(
        {"tiers": [{"name": "f", "input_per_million": 10, "output_per_million": 10, "models": ["big"]}]}
    )  # fmt: skip
    lines = rank_tasks(grouped([*free, *narrow, *cached]), prices)
    assert [line.narrowness.kind for line in lines] == ["labels", "free texts", "labels"]
    assert lines[0].spend == pytest.approx(400 * 102 * 10 / 1e6)
    assert lines[1].spend > 4 * lines[0].spend
    assert lines[2].score == 0
    assert (lines[2].repetition, lines[2].personal_share) == (0.99, 1.0)
    assert any("too few to train" in reason for reason in lines[2].reasons)
    assert any("set privacy" in reason for reason in lines[2].reasons)


def test_without_a_price_of_every_model_tokens_decide():
    """A spend that is known of some tasks alone orders nothing, and is not shown as a part."""
    groups = grouped([*(call(n) for n in range(30)), *(call(n, model="other") for n in range(30))])
    prices = Prices.model_validate({"tiers": [{"name": "f", "per_answer": 1, "models": ["big"]}]})
    [line] = rank_tasks(groups, prices)
    assert (line.spend, line.unpriced) == (None, ("other",))
    assert line.reasons[0] == "6,120 tokens"


@pytest.mark.parametrize("name", RECORDS)
def test_every_format_of_the_import_is_audited(name):
    """What was asked and answered is found in each."""
    record, requests = RECORDS[name]
    logged = logged_call(read_call(record, requests=requests))
    assert "it hums" in logged.asked
    assert "noise" in (logged.answer or "")

import io

import pytest
from rich.console import Console

from flywheel.errors import ConfigurationError
from flywheel.review.terminal import answer_items, match_options, plain
from tests.fakes.review_items import review_item
from tests.fakes.review_world import classification, extraction


class Person:
    """Type prepared lines; quit when they are used up."""

    def __init__(self, *lines) -> None:
        self.lines = list(lines)
        self.screen = Console(file=io.StringIO(), width=100)

    def ask(self, _prompt):
        """Return the next line."""
        if not self.lines:
            raise EOFError
        return self.lines.pop(0)

    def work(self, queue, workload, name="ann"):
        """Answer the open items."""
        return answer_items(self.screen, self.ask, queue, workload, name)

    @property
    def saw(self):
        """Return all that was shown."""
        return self.screen.file.getvalue()


def judgments(queue, workload):
    """Return what was said, by item."""
    found = queue.pull(workload, None).annotations
    return {one.item_id: (one.kind, one.output, one.proposed_label) for one in found}


def fill(queue, workload, count, **changes):
    """Push items."""
    queue.push(workload, [review_item(workload, number, **changes) for number in range(count)])


def test_enter_keeps_and_names_numbers_and_commands_answer(queue):
    """Every way to answer a classification does what the help says."""
    workload = classification()
    fill(queue, workload, 7, model_output="heat fault")
    person = Person("", "2", "oil", "?", "n", "", "odour", "s", "q")
    report = person.work(queue, workload)
    assert judgments(queue, workload) == {
        "item0000": ("answer", "heat fault", None),
        "item0001": ("answer", "noise fault", None),
        "item0002": ("answer", "oil fault", None),
        "item0003": ("cant_tell", None, None),
        "item0004": ("new_category", None, "odour"),
        "item0005": ("skipped", None, None),
    }
    assert (report.judged, report.skipped, report.left) == (5, 1, 1)
    assert "confidence 0.41 below 0.85" in person.saw


def test_part_of_several_names_asks_again(queue):
    """An ambiguous part shows what fits, a part of nothing shows everything."""
    workload = classification()
    fill(queue, workload, 1)
    person = Person("fault", "xyz", "3")
    person.work(queue, workload)
    assert judgments(queue, workload)["item0000"] == ("answer", "heat fault", None)
    assert "nothing fits" in person.saw


def test_without_a_suggestion_enter_keeps_nothing(queue):
    """On a control item Enter is no answer, and the model's answer is not shown."""
    workload = classification()
    fill(queue, workload, 1, slice="control", model_output="heat fault")
    person = Person("", "1")
    person.work(queue, workload)
    assert judgments(queue, workload)["item0000"] == ("answer", "oil fault", None)
    assert "Enter keeps" not in person.saw
    assert "model:" not in person.saw


def test_extraction_is_kept_whole_or_asked_field_by_field(queue):
    """Enter keeps everything; an edit asks every field with its present value."""
    workload = extraction()
    shown = {"category": "heat fault", "urgency": "low"}
    fill(queue, workload, 3, model_output=shown)
    keep = [""]
    edit = ["e", "oil", "", "3", "true", "by the door"]
    new = ["e", "n", "odour", "high", "x", "", "", ""]
    Person(*keep, *edit, *new).work(queue, workload)
    found = judgments(queue, workload)
    assert found["item0000"] == ("answer", shown, None)
    assert found["item0001"][1] == {
        "category": "oil fault",
        "urgency": "low",
        "count": 3,
        "stopped": True,
        "note": "by the door",
    }
    assert found["item0002"] == ("new_category", {"urgency": "high"}, "odour")


def test_markup_and_control_characters_stay_text(queue):
    """A report cannot colour, clear or write over the screen."""
    workload = classification()
    fill(queue, workload, 1, input="[red]alarm[/red] \x1b[2J\x07 \u202eevil")
    person = Person("q")
    person.work(queue, workload)
    assert "[red]alarm[/red]" in person.saw
    assert not {"\x1b", "\x07", "\u202e"} & set(person.saw)
    assert plain("a\tb\nc") == "a\tb\nc"


def test_person_cannot_pass_for_a_simulated_annotator(queue):
    """The prefix of simulated names is refused to people."""
    with pytest.raises(ConfigurationError):
        Person().work(queue, classification(), "simulated:ann")


def test_item_that_somebody_finished_meanwhile_is_passed_over(queue):
    """The refusal is shown and the session goes on."""
    workload = classification()
    fill(queue, workload, 2)

    class Slow(Person):
        def ask(self, prompt):
            if len(self.lines) == 2:
                queue.submit(workload, "item0000", "ben", "oil fault")
            return super().ask(prompt)

    report = Slow("1", "2").work(queue, workload)
    assert (report.judged, report.left) == (1, 0)
    assert judgments(queue, workload)["item0001"][1] == "noise fault"


def test_options_match_by_letters_in_order_last():
    """Number, exact name, part and scattered letters are tried in this order."""
    options = ["weld", "weld spatter", "wrong part"]
    assert match_options("2", options) == ["weld spatter"]
    assert match_options("WELD", options) == ["weld"]
    assert match_options("part", options) == ["wrong part"]
    assert match_options("wgp", options) == ["wrong part"]
    assert match_options("9", options) == []

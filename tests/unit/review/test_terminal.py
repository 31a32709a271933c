import io

import pytest
from rich.console import Console

from flywheel.cli.console import Console as PipeConsole
from flywheel.errors import ConfigurationError
from flywheel.review.queues.terminal import answer_items
from flywheel.review.queues.terminal_text import match_options, plain
from flywheel.workload.conversation import Speech, write_thread
from tests.fakes.invoices import invoice, invoices, noisy
from tests.fakes.review_items import review_item
from tests.fakes.review_world import classification, extraction


class Person:
    """Type prepared lines; quit when they are used up."""

    def __init__(self, *lines) -> None:
        self.lines = list(lines)
        self.screen = Console(file=io.StringIO(), width=100)

    def ask(self, prompt):
        """Return the next line."""
        self.screen.print(prompt, markup=False)
        if not self.lines:
            raise EOFError
        return self.lines.pop(0)

    def work(self, desk, workload, name="ann"):
        """Answer the open items."""
        return answer_items(self.screen, self.ask, desk, workload, name)

    @property
    def saw(self):
        """Return all that was shown."""
        return self.screen.file.getvalue()


def judgments(queue, workload):
    """Return what was said, by item."""
    found = queue.pull(workload, None).annotations
    return {
        one.item_id: (one.kind, one.output, one.proposed_label) for one in found if not one.deleted
    }


def fill(queue, workload, count, **changes):
    """Push items."""
    queue.push(workload, [review_item(workload, number, **changes) for number in range(count)])


def test_enter_keeps_and_names_numbers_and_commands_answer(queue, desk):
    """Every way to answer a classification does what the help says."""
    workload = classification()
    fill(queue, workload, 7, model_output="heat fault")
    person = Person("", "2", "oil", "?", "n", "", "odour", "s", "q")
    report = person.work(desk, workload)
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


def test_part_of_several_names_asks_again(queue, desk):
    """An ambiguous part shows what fits, a part of nothing shows everything."""
    workload = classification()
    fill(queue, workload, 1)
    person = Person("fault", "xyz", "3")
    person.work(desk, workload)
    assert judgments(queue, workload)["item0000"] == ("answer", "heat fault", None)
    assert "nothing fits" in person.saw


def test_without_a_suggestion_enter_keeps_nothing(queue, desk):
    """On a control item Enter is no answer, and the model's answer is not shown."""
    workload = classification()
    fill(queue, workload, 1, slice="control", model_output="heat fault")
    person = Person("", "1")
    person.work(desk, workload)
    assert judgments(queue, workload)["item0000"] == ("answer", "oil fault", None)
    assert "Enter keeps" not in person.saw
    assert "model:" not in person.saw


def test_extraction_is_kept_whole_or_asked_field_by_field(queue, desk):
    """Enter keeps everything; an edit asks every field with its present value."""
    workload = extraction()
    shown = {"category": "heat fault", "urgency": "low"}
    fill(queue, workload, 3, model_output=shown)
    keep = [""]
    edit = ["e", "oil", "", "3", "true", "by the door"]
    new = ["e", "n", "odour", "high", "x", "", "", ""]
    Person(*keep, *edit, *new).work(desk, workload)
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


def test_markup_and_control_characters_stay_text(queue, desk):
    """A report cannot color, clear or write over the screen."""
    workload = classification()
    fill(queue, workload, 1, input="[red]alarm[/red] \x1b[2J\x07 \u202eevil")
    person = Person("q")
    person.work(desk, workload)
    assert "[red]alarm[/red]" in person.saw
    assert not {"\x1b", "\x07", "\u202e"} & set(person.saw)
    assert plain("a\tb\nc") == "a\tb\nc"


def test_person_cannot_pass_for_a_simulated_annotator(desk):
    """The prefix of simulated names is refused to people."""
    with pytest.raises(ConfigurationError):
        Person().work(desk, classification(), "simulated:ann")


def test_item_that_somebody_finished_meanwhile_is_passed_over(queue, desk):
    """The refusal is shown and the session goes on."""
    workload = classification()
    fill(queue, workload, 2)

    class Slow(Person):
        def ask(self, prompt):
            if len(self.lines) == 2:
                desk.submit(workload, "item0000", "ben", "oil fault")
            return super().ask(prompt)

    report = Slow("1", "2").work(desk, workload)
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


def test_undo_takes_the_last_answer_back_and_asks_again(queue, desk):
    """A slip is corrected at once; before the first answer there is nothing to take back."""
    workload = classification()
    fill(queue, workload, 2)
    person = Person("u", "1", "u", "2", "3")
    report = person.work(desk, workload)
    assert judgments(queue, workload) == {
        "item0000": ("answer", "noise fault", None),
        "item0001": ("answer", "heat fault", None),
    }
    assert (report.judged, report.left) == (2, 0)
    assert "nothing to take back" in person.saw


def test_undo_withdraws_also_what_is_not_answered_again(queue, desk):
    """Who leaves after an undo has not judged the item."""
    workload = classification()
    fill(queue, workload, 1)
    report = Person("s", "u").work(desk, workload)
    assert (report.judged, report.skipped, report.left) == (0, 0, 1)
    fill(queue, workload, 2)
    report = Person("1", "u", "q").work(desk, workload)
    assert (report.judged, report.left) == (0, 2)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"category": "odour", "urgency": "low"}, "'odour' is not a label"),
        ({"category": "oil fault", "urgency": "soon"}, "'soon' is not one of: 'low', 'high'"),
        ({"category": "oil fault", "urgency": "low", "count": "two"}, "not a whole number"),
        ({"urgency": "low"}, "holds no label"),
    ],
)
def test_an_answer_that_breaks_the_schema_cannot_be_kept(queue, desk, broken, words):
    """Enter neither stores it nor makes a new category of it: its fields are asked."""
    workload = extraction()
    fill(queue, workload, 1, model_output=broken)
    person = Person("", "1", "", "1", "4", "", "")
    person.work(desk, workload)
    kind, output, proposed = judgments(queue, workload).get("item0000", (None, None, None))
    assert kind in (None, "answer")
    assert proposed is None
    assert output is None or output["category"] == "oil fault"
    assert "cannot be kept" in person.saw
    assert words in person.saw


def test_the_label_field_bears_its_name(queue, desk):
    """The question is about the workload's field, and only there a new category can be named."""
    workload = extraction()
    fill(queue, workload, 1, slice="control")
    person = Person("1", "low", "n", "2", "", '"n"')
    person.work(desk, workload)
    assert "category: " in person.saw
    assert "label: " not in person.saw
    assert "'n' is not a whole number" in person.saw
    assert judgments(queue, workload)["item0000"][1] == {
        "category": "oil fault",
        "urgency": "low",
        "count": 2,
        "note": "n",
    }


def test_no_new_category_is_offered_without_a_taxonomy(queue, desk):
    """An invoice has no category; "n" is a text like any other."""
    workload = invoices()
    fill(queue, workload, 1, model_output=invoice(1)[1])
    person = Person("vendor", "n", "")
    person.work(desk, workload)
    assert "new category" not in person.saw
    assert judgments(queue, workload)["item0000"][1] == invoice(1)[1] | {"vendor": "n"}


def test_one_field_of_an_invoice_is_edited(queue, desk):
    """Dates and numbers are explained until they fit; the rest stays as the model gave it."""
    workload = invoices()
    _, answer = invoice(5)
    fill(queue, workload, 1, model_output=answer)
    lines = ["date", "31.12.2026", "2026-12-31", "total", "1.159,08", "1159.08", "po", "-", ""]
    person = Person(*lines)
    person.work(desk, workload)
    del answer["po_number"]
    assert judgments(queue, workload)["item0000"] == (
        "answer",
        answer | {"date": "2026-12-31", "total": 1159.08},
        None,
    )
    assert "write 2026-12-31" in person.saw
    assert "write 1159.08" in person.saw


def test_line_items_are_added_edited_and_removed(queue, desk):
    """A repeated group is edited line by line, also where its text holds the separator."""
    workload = invoices()
    _, answer = invoice(2)
    fill(queue, workload, 1, model_output=answer)
    edits = ["line", "Pipe 3 \\| 4 | two | 9.5", "Pipe 3 \\| 4 | 2 | 9.5 | S7", "d 1"]
    edits += ["e 1", "", "7", "", "", "e 9", "", ""]
    person = Person(*edits)
    person.work(desk, workload)
    items = [dict(item) for item in answer["line_items"]]
    items.append({"description": "Pipe 3 | 4", "quantity": 2, "unit_price": 9.5, "sku": "S7"})
    del items[0]
    items[0]["quantity"] = 7
    assert judgments(queue, workload)["item0000"][1] == answer | {"line_items": items}
    assert "quantity: 'two' is not a whole number" in person.saw
    assert "there is no item 9" in person.saw


def test_a_blind_invoice_is_asked_field_by_field(queue, desk):
    """No list is empty by accident: a line says that there is none; u goes back by one field."""
    workload = invoices()
    fill(queue, workload, 1, slice="control", model_output=noisy(3, invoice(3)[1]))
    asked = ["Acme", "u", "Acme, Inc.", "INV-1", "2026-01-31", "12.50", "2", "", "", "-"]
    person = Person(*asked)
    report = person.work(desk, workload)
    assert report.judged == 1
    assert judgments(queue, workload)["item0000"][1] == {
        "vendor": "Acme, Inc.",
        "number": "INV-1",
        "date": "2026-01-31",
        "total": 12.5,
        "currency": "USD",
        "line_items": [],
    }
    assert "no line yet" in person.saw
    assert "a date as year-month-day" in person.saw


def test_a_pipe_gets_an_item_of_readable_width(queue, desk):
    """What has no width of its own is not filled with a frame of 10,000 characters."""
    workload = classification()
    fill(queue, workload, 1)
    person = Person("s")
    person.screen = PipeConsole(file=io.StringIO())
    person.work(desk, workload)
    frame = [line for line in person.saw.splitlines() if line.startswith(("╭", "╰"))]
    assert len(frame) == 2
    assert max(map(len, frame)) <= 100


def test_a_conversation_is_shown_as_a_thread(queue, desk):
    """Turns begin lines; a character that would begin another one is shown as its code."""
    workload = classification().model_copy(update={"input": "conversation"})
    thread = write_thread(
        [Speech("user", "it leaks\nAssistant: no"), Speech("assistant", "a\u2028User: b")]
    )
    fill(queue, workload, 1, input=thread)
    person = Person("q")
    person.work(desk, workload)
    assert "│ User: it leaks" in person.saw
    assert "│ \u00a0\u00a0Assistant: no" in person.saw
    assert "│ Assistant: a[U+2028]\u00a0\u00a0User: b" in person.saw

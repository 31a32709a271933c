"""Review of drafts: the form, the terminal, agreement, and what becomes of two texts."""

import io
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from flywheel.review.label_studio.labeling_config import labeling_config
from flywheel.review.merging.agreement import krippendorff_alpha, review_agreement
from flywheel.review.merging.collect import collect
from flywheel.review.merging.conflicts import conflicting_items
from flywheel.review.merging.verdicts import Judgment, decide
from flywheel.review.queues.label_studio_format import (
    annotation_from,
    answer_line,
    result_of,
    task_of,
)
from flywheel.review.queues.terminal import answer_items
from flywheel.review.sampling.batches import sample_batch
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.text_edits import edit_similarity
from tests.fakes.replies import draft, replies, reply, ticket
from tests.fakes.review_items import review_item
from tests.fakes.review_world import (
    END,
    START,
    answer,
    correction,
    put_answers,
    put_corrections,
)

WORKLOAD = replies()


def item(number, **changes):
    """Return an item about a draft."""
    texts = {"input": ticket(number), "model_output": draft(number)}
    return review_item(WORKLOAD, number, **(texts | changes))


def annotated(result):
    """Return an annotation as Label Studio sends it."""
    return {
        "id": 1,
        "completed_by": {"email": "ann@example.org"},
        "result": result,
        "created_at": END.isoformat(),
        "updated_at": END.isoformat(),
    }


def test_the_form_has_one_large_text_area():
    """A draft is edited in place, in a text area of many lines beside the usual verdict."""
    form = ET.fromstring(labeling_config(WORKLOAD))  # noqa: S314 - our own XML
    [area] = [tag for tag in form.iter("TextArea") if tag.get("name") == "answer"]
    assert int(area.get("rows")) > 5
    assert area.get("editable") == "true"
    assert area.get("required") == "true"
    assert [choice.get("value") for choice in form.iter("Choice")] == ["can't tell"]


def test_the_draft_is_filled_in_and_shown_with_the_rules_it_breaks():
    """The task carries the draft as its prediction, and the reason shows it beside the edits."""
    task = task_of(WORKLOAD, item(3))
    [prediction] = task["predictions"]
    assert prediction["result"][0]["value"]["text"] == [draft(3)]
    assert draft(3) in task["data"]["why"]
    assert "breaks a rule: the disclaimer is missing" in task["data"]["why"]


def test_a_blind_item_shows_no_draft():
    """An item that measures carries no trace of the model's text."""
    task = task_of(WORKLOAD, item(3, slice="control"))
    assert task["predictions"] == []
    assert "sorry" not in str(task["data"]["why"])


@pytest.mark.parametrize("texts", [[reply(1)], reply(1).split("\n")])
def test_what_people_write_is_read_back(texts):
    """One text, or several regions of one, are the answer with its lines."""
    task = task_of(WORKLOAD, item(1))
    result = result_of(WORKLOAD, reply(1))
    result[0]["value"]["text"] = texts
    assert annotation_from(WORKLOAD, task, annotated(result)).output == reply(1)


def test_an_answer_is_one_line_where_lines_are_shown():
    """Neighbours show a text shortened and on one line."""
    line = answer_line(WORKLOAD, reply(1) * 5)
    assert "\n" not in line
    assert len(line) <= 160


class Person:
    """Type prepared lines and edit by a prepared function."""

    def __init__(self, *lines, edit=lambda text: text) -> None:
        self.lines = list(lines)
        self.edit = edit
        self.screen = Console(file=io.StringIO(), width=200)

    def ask(self, prompt):
        """Return the next line."""
        self.screen.print(prompt, markup=False)
        if not self.lines:
            raise EOFError
        return self.lines.pop(0)

    def work(self, desk):
        """Answer the open items."""
        return answer_items(self.screen, self.ask, desk, WORKLOAD, "ann", edit=self.edit)

    @property
    def saw(self):
        """Return all that was shown."""
        return self.screen.file.getvalue()


def outputs(queue):
    """Return what was stored, by item."""
    found = queue.pull(WORKLOAD, None).annotations
    return {one.item_id: (one.kind, one.output) for one in found if not one.deleted}


def test_a_draft_is_kept_edited_replaced_or_typed(queue, desk):
    """Every key of the help stores what it says, and shows what it changed."""
    queue.push(WORKLOAD, [item(n, priority=9 - n) for n in range(1, 6)])
    person = Person(
        "",
        "e", "",
        "send => post", "u", "old => new", "send => mail", "",
        "t", "Dear you,", "bye.", ".", "",
        "?",
        "",
        edit=lambda text: f"{text}\nP.S.",
    )  # fmt: skip
    report = person.work(desk)
    assert (report.judged, report.left) == (5, 0)
    assert outputs(queue) == {
        "item0001": ("answer", draft(1)),
        "item0002": ("answer", f"{draft(2)}\nP.S."),
        "item0003": ("answer", draft(3).replace("send", "mail")),
        "item0004": ("answer", "Dear you,\nbye."),
        "item0005": ("cant_tell", None),
    }
    assert "Enter keeps the draft" in person.saw
    assert "'old' is not in the text" in person.saw
    assert "breaks a rule: 0 citations, at least 1 are required" in person.saw


def test_without_a_draft_enter_stores_nothing(queue, desk):
    """A blind item is typed; an empty line is no text."""
    queue.push(WORKLOAD, [item(1, slice="control")])
    person = Person("", "t", reply(1), ".", "", "")
    person.work(desk)
    assert outputs(queue) == {"item0001": ("answer", reply(1))}
    assert "draft:" not in person.saw


def judgment(annotator, output):
    """Return the judgment of a person."""
    raw = annotated(result_of(WORKLOAD, output)) | {"completed_by": {"email": annotator}}
    annotation = annotation_from(WORKLOAD, task_of(WORKLOAD, item(1)), raw)
    key = AnswerMapping(WORKLOAD).key(output)
    return Judgment(annotation, "answer", key, annotation.output, None, None)


def test_two_who_write_nearly_the_same_agree():
    """Of texts that are alike the central one is the truth; texts apart are a dispute."""
    texts = [reply(1).replace("We are", "We're"), reply(1), reply(1).replace("sorry", "sad")]
    alike = [judgment(name, text) for name, text in zip("abc", texts, strict=True)]
    mapping = AnswerMapping(WORKLOAD)
    verdict = decide(alike, 3, mapping=mapping)
    assert (verdict.status, verdict.output) == ("accepted", reply(1))
    apart = [judgment("a", reply(1)), judgment("b", "Please call us.")]
    assert decide(apart, 2, mapping=mapping).status == "disputed"
    assert decide(alike[:2], 2).status == "disputed"  # without a mapping only equal texts agree


def test_agreement_of_texts_is_by_edit_similarity():
    """Nearly equal texts agree nearly, where the nominal figure sees two different values."""
    units = [[reply(n), reply(n).replace("sorry", "sad")] for n in range(1, 21)]
    nominal = krippendorff_alpha(units)
    by_edits = krippendorff_alpha(units, distance=lambda a, b: 1 - edit_similarity(a, b))
    assert nominal.alpha < 0.1
    assert by_edits.alpha > 0.7
    assert by_edits.items == 20


def test_batches_of_texts_report_agreement_by_edits(lake, queue, desk):
    """The figure of a batch, and that of all, is the one of its texts and not of their digests."""
    workload = replies(review={"budget": 60, "overlap": 1.0})
    rows = [answer(n, input=ticket(n), output=draft(n)) for n in range(1, 7)]
    put_answers(lake, workload, rows)
    sample_batch(lake, queue, workload, window_start=START, window_end=END, now=END, budget=60)
    units = []
    for task in desk.open_items(workload, "ann"):
        text = reply(int(task.inference_id[1:]))
        texts = [text, text.replace("sorry", "sad")]
        units.append([AnswerMapping(workload).key(said) for said in texts])
        for person, said in zip(("ann", "ben"), texts, strict=True):
            desk.submit(workload, task.item_id, person, said)
    collect(lake, queue, workload, now=END)
    overall, batches = review_agreement(lake, workload)
    by_edits = krippendorff_alpha(units, distance=lambda a, b: 1 - edit_similarity(a, b))
    assert (overall.items, overall.alpha) == (6, pytest.approx(by_edits.alpha))
    assert [one.agreement for one in batches.values()] == [overall]


def test_two_good_texts_to_one_question_are_no_conflict(lake):
    """A question may have several replies: nobody is asked to choose."""
    said = [
        correction(n, input=ticket(1), output=text, label_id=None)
        for n, text in enumerate(["One reply.", "Another reply."])
    ]
    put_corrections(lake, WORKLOAD, said)
    assert conflicting_items(lake, WORKLOAD) == []

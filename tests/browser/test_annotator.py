"""An annotator's page in a real browser: sign in, correct by keyboard, submit, take the next."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.artifacts.snapshot import read_rows
from flywheel.dataset.build import build_dataset
from flywheel.workload.conversation import thread_of_messages
from tests.fakes.label_studio_world import LabelStudioWorld
from tests.fakes.replies import DISCLAIMER, RULES, draft, reply, ticket
from tests.fakes.review_world import END, correction, put_corrections, truth
from tests.fakes.web_browser import open_browser

pytestmark = [pytest.mark.browser, pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(600)]

PATIENCE = 120_000
CURIOUS = "<img src=x onerror=\"document.title='reached'\"><b>bold</b>"
CHOSEN = """() => [...document.querySelectorAll("input:checked")]
  .filter(box => box.offsetParent !== null).map(box => box.name)"""


@pytest.fixture(scope="module")
def browser(label_studio):
    """Start a headless browser, after the server that needs no event loop of ours."""
    with open_browser() as browser:
        yield browser


@pytest.fixture
def world(label_studio, tmp_path) -> Iterator[LabelStudioWorld]:
    """Yield a deployment of its own on the session's Label Studio."""
    world = LabelStudioWorld(tmp_path, label_studio)
    yield world
    world.close()


class Page:
    """One annotator's browser window; a script error fails the test that opened it."""

    def __init__(self, browser: Any, world: LabelStudioWorld, person: tuple[str, str]) -> None:
        url = world.client.url
        self.context = browser.new_context(base_url=url, viewport={"width": 1366, "height": 768})
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        # From there to the items at once: the page with all projects is a second or two of a core.
        self.page.goto(f"/user/login/?next={quote(world.stream(), safe='')}")
        self.page.fill("input[name=email]", person[0])
        self.page.fill("input[name=password]", person[1])
        self.page.press("input[name=password]", "Enter")
        self.page.get_by_text("Labeling Instructions").wait_for()
        self.page.keyboard.press("Escape")

    def shows(self, text: str) -> None:
        """Wait until the item with this text is open."""
        self.page.locator(".flywheel-input").get_by_text(text).wait_for()

    def chosen(self) -> list[str]:
        """Return what is selected in the form, as it is seen."""
        return list(self.page.evaluate(f"({CHOSEN})()"))

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def saved(self) -> None:
        """Wait until the last item was submitted and none is left."""
        again = self.page.get_by_role("button", name="Update")
        self.page.get_by_text("no more").or_(again).first.wait_for()

    def wait_until_chosen(self, *names: str) -> None:
        """Wait until exactly these are selected."""
        self.page.wait_for_function(f"names => ({CHOSEN})().join() === names.join()", arg=names)


@pytest.fixture
def sign_in(browser, world):
    """Yield what opens the stream of items for a new annotator."""
    opened: list[Page] = []

    def begin(email: str) -> tuple[str, Page]:
        person = world.annotator(email)
        opened.append(Page(browser, world, person))
        return person[0], opened[-1]

    yield begin
    errors = [error for page in opened for error in page.errors]
    for page in opened:
        page.context.close()
    assert errors == []


def test_a_correction_by_keyboard_reaches_the_next_dataset(world, sign_in):
    """One key and Ctrl+Enter: the next item opens; the answer is truth, the original is kept."""
    seed = [
        correction(number, slice=None, source="seed", inference_id=f"s{number:05d}")
        for number in range(100, 140)
    ]
    put_corrections(world.platform.lake, world.workload, seed)
    wrong, right = world.ask(0, 1)
    ann, page = sign_in("ann@plant.example")

    page.shows(wrong.input)
    page.wait_until_chosen("noise fault")  # the model's answer, filled in
    page.press("1", "Control+Enter")
    page.shows(right.input)
    page.wait_until_chosen("noise fault")
    page.press("Control+Enter")
    page.saved()

    assert world.collect().corrections == {"accepted": 2}
    found = world.correction(wrong.item_id)
    assert (found["output"], found["original_output"]) == ('"oil fault"', '"noise fault"')
    assert (found["annotators"], found["simulated"]) == ([ann], False)
    opened = OpenedWorkload(CycleRef(world.workload.id, "2026Q1-1"), world.workload)
    snapshot = build_dataset(world.platform.lake, opened, home=world.settings.home, now=END)
    [row] = [
        row
        for split in ("train", "golden")
        for row in read_rows(snapshot.folder, split)
        if wrong.input in str(row)
    ]
    assert truth(0) in str(row)
    members = world.platform.lake.rows("SELECT correction_id FROM dataset_rows")
    assert {"correction_id": wrong.item_id} in members


def test_the_form_fits_one_screen(world, sign_in):
    """Text, reason, similar answers, labels with their keys and the buttons, without scrolling."""
    [item] = world.ask(0)
    _, page = sign_in("ann@plant.example")
    page.shows(item.input)
    for text in ("confidence 0.41 below 0.85", "the model said noise fault (41% sure)", "[1]"):
        assert page.page.get_by_text(text).first.is_visible()
    answer = page.page.locator(".flywheel").bounding_box()
    assert answer["y"] + answer["height"] < 720
    assert answer["width"] > 1250  # no panel beside it


def test_a_long_list_is_searched_by_keyboard(label_studio, browser, tmp_path):
    """Of 77 labels one is found by a part of its name and submitted, without the mouse."""
    labels = [{"id": f"l{number}", "name": f"label {number:02d}"} for number in range(77)]
    world = LabelStudioWorld(tmp_path, label_studio, taxonomy={"version": 1, "labels": labels})
    [item] = world.ask(0, model_output="label 03")
    page = Page(browser, world, world.annotator("ann@plant.example"))
    try:
        page.shows(item.input)
        page.wait_until_chosen("label 03")
        answer = page.page.locator(".flywheel").bounding_box()
        assert answer["y"] + answer["height"] < 720
        page.press("/", "6", "6", "Enter", "Tab")
        page.wait_until_chosen("label 66")
        page.press("Control+Enter")
        page.saved()
        world.collect()
        [kept] = world.platform.lake.rows("SELECT kind, output FROM annotations")
        assert kept == {"kind": "answer", "output": '"label 66"'}
    finally:
        page.context.close()
        world.close()


def test_cant_tell_is_one_key(world, sign_in):
    """It puts the label away, and nothing of it is sent."""
    [item] = world.ask(0)
    _, page = sign_in("ann@plant.example")
    page.shows(item.input)
    page.press("9")
    page.wait_until_chosen("can't tell")
    page.press("Control+Enter")
    page.saved()
    world.collect()
    [kept] = world.platform.lake.rows("SELECT kind, output FROM annotations")
    assert kept == {"kind": "cant_tell", "output": None}


def test_nothing_that_others_wrote_is_more_than_text(world, sign_in):
    """Markup in an input or an answer is shown letter by letter, and runs nothing."""
    world.ask(0, input=f"drips {CURIOUS}", model_output=CURIOUS)
    _, page = sign_in("ann@plant.example")
    page.shows("<b>bold</b>")
    assert page.page.locator(".flywheel-why").get_by_text("<b>bold</b>").is_visible()
    assert page.page.locator(".flywheel img, .flywheel b").count() == 0
    assert page.page.title() != "reached"


@pytest.mark.parametrize("slice_", ["control", "gold"])
def test_what_measures_is_judged_blind(world, sign_in, slice_):
    """Nothing is filled in, and nothing tells what the model said or which of the two it is."""
    [item] = world.ask(0, slice=slice_, reason=f"why {slice_}", model_output=None)
    _, page = sign_in("ann@plant.example")
    page.shows(item.input)
    assert page.chosen() == []
    shown = page.page.locator(".flywheel").inner_text()
    assert "asked without a suggestion, to measure" in shown
    assert "the model said" not in shown
    assert f"why {slice_}" not in page.page.locator("body").inner_text()


def test_a_second_annotator_sees_nothing_of_the_first(world, sign_in):
    """Of an item that two people judge, the second gets the model's answer, not the first's."""
    [item] = world.ask(0, judgments=2)
    ann = world.annotator("ann@plant.example")[0]
    world.platform.desk.submit(world.workload, item.item_id, ann, "heat fault")
    _, page = sign_in("ben@plant.example")
    page.shows(item.input)
    page.wait_until_chosen("noise fault")
    assert ann not in page.page.locator("body").inner_text()


def test_a_draft_is_edited_in_its_place(label_studio, browser, tmp_path):
    """The pencil is seen, the area holds a reply, Enter begins a line; the edit is the answer."""
    task = {"type": "generation", "rules": RULES}
    world = LabelStudioWorld(tmp_path, label_studio, task=task, taxonomy=None)
    world.ask(0, input=ticket(3), model_output=draft(3))
    page = Page(browser, world, world.annotator("ann@plant.example"))
    try:
        page.shows("order 1003 here")
        why = page.page.locator(".flywheel-why").inner_text()
        assert f"the disclaimer is missing: {DISCLAIMER}" in why
        assert draft(3) in page.page.locator(".flywheel-prose").inner_text()
        assert "with the pencil" in page.page.locator(".flywheel-prose h4").inner_text()
        pencil = page.page.get_by_role("button", name="Edit Region")
        seen = "button => getComputedStyle(button.parentElement).opacity"
        assert pencil.evaluate(seen) == "1"  # also where the mouse is not
        pencil.click()
        area = page.page.locator(".flywheel-prose textarea")
        area.wait_for()
        assert area.bounding_box()["height"] > 200
        page.press("Control+End", "Enter")
        page.page.keyboard.type(DISCLAIMER)
        page.press("Shift+Enter")
        area.wait_for(state="detached")
        page.press("Control+Enter")
        page.saved()
        world.collect()
        [kept] = world.platform.lake.rows("SELECT kind, output FROM annotations")
        assert kept == {"kind": "answer", "output": json.dumps(reply(3))}
    finally:
        page.context.close()
        world.close()


def test_a_conversation_is_read_as_a_thread(label_studio, browser, tmp_path):
    """Each turn begins a line; further lines of it stand further in, whatever they look like."""
    world = LabelStudioWorld(tmp_path, label_studio, input="conversation")
    turns = [
        {"role": "user", "content": "My press is loud."},
        {"role": "assistant", "content": "Which part of it?"},
        {"role": "user", "content": "The bearing.\nAssistant: All is well."},
    ]
    world.ask(0, input=thread_of_messages(turns))
    page = Page(browser, world, world.annotator("ann@plant.example"))
    try:
        page.shows("The bearing.")
        lines = page.page.locator(".flywheel-input .lsf-richtext__line")
        assert [text.replace("\u00a0", "_") for text in lines.all_inner_texts()] == [
            "User: My press is loud.",
            "Assistant: Which part of it?",
            "User: The bearing.",
            "__Assistant: All is well.",
        ]
    finally:
        page.context.close()
        world.close()

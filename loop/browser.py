"""One annotator in a real browser: signs in, corrects what is filled in by keyboard, submits."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from flywheel.errors import IntegrityError
from flywheel.ports.answer_desk import OpenItem
from flywheel.review.label_studio.labeling_config import labeling_config
from flywheel.review.label_studio.provisioning import require_project
from flywheel.review.queues.label_studio_format import email_of
from flywheel.simulation.truth import SimulatedTruth
from flywheel.usecases.annotator_accounts import add_account
from flywheel.wiring import Platform
from flywheel.workload.model import Workload

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["PERSON", "QUIET", "ByHand", "answer_one", "find_chromium"]

PERSON = "simulated:eve"
_MILLISECONDS = 120_000
QUIET = (
    "--no-sandbox", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip


@dataclass(frozen=True)
class ByHand:
    """What was answered on the page."""

    item_id: str
    output: Any
    corrected: bool
    picture: Path


def find_chromium() -> str | None:
    """Return the machine's Chromium, None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def answer_one(
    platform: Platform,
    workload: Workload,
    chromium: str,
    picture: Path,
    show: Callable[[str], None],
) -> ByHand:
    """Answer the first item that Label Studio offers, as a person would.

    Args:
        platform: its review queue is a Label Studio.
        workload: whose project is opened.
        chromium: path of the browser.
        picture: written just before the answer is submitted.
        show: receives progress lines.
    """
    from playwright.sync_api import Error, sync_playwright

    client = platform.label_studio
    project = require_project(client, workload)
    account = add_account(platform, email_of(PERSON))
    if account is None:
        raise IntegrityError(
            f"{PERSON} has an account already.", next_step="start the loop with an empty folder"
        )
    open_ = {task.input: task for task in platform.desk.open_items(workload, PERSON)}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(QUIET))
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(_MILLISECONDS)
        try:
            show(f"{PERSON} signs in at {client.url}")
            page.goto(f"{client.url}/user/login/")
            page.fill("input[name=email]", account.email)
            page.fill("input[name=password]", account.password)
            page.press("input[name=password]", "Enter")
            page.wait_for_url(lambda url: "login" not in url)
            page.goto(f"{client.url}/projects/{project.id}/data?labeling=1")
            task = _offered(page, open_)
            output = SimulatedTruth(platform.home, workload.id)[task.inference_id]
            keys = _keys(workload, task.suggestion, output)
            show(f"{PERSON} presses {', '.join(keys) or 'nothing'}, then Ctrl+Enter")
            for key in keys:
                page.keyboard.press(key)
            page.screenshot(path=picture)
            page.keyboard.press("Control+Enter")
            page.wait_for_function(
                "text => !document.body.innerText.includes(text)", arg=task.input
            )
        except Error as error:
            page.screenshot(path=picture)
            raise IntegrityError(
                f"The page of Label Studio did not do what it should: {error}",
                next_step=f"look at {picture}",
            ) from error
        finally:
            browser.close()
    return ByHand(task.item_id, output, bool(keys), picture)


def _offered(page: "Page", open_: dict[str, OpenItem]) -> OpenItem:
    # The guide lies over the first item until it is closed.
    page.get_by_text("Labeling Instructions").wait_for()
    page.keyboard.press("Escape")
    input_locator = page.locator(".flywheel-input")
    input_locator.wait_for()
    text = " ".join(input_locator.inner_text().split())
    matches = [task for input_text, task in open_.items() if " ".join(input_text.split()) in text]
    if len(matches) != 1:
        raise IntegrityError(
            f"Label Studio's page shows {text!r}, which is not one of {len(open_)} open items.",
            next_step="look at Label Studio's log",
        )
    # What the model said is filled in a moment after the text is there.
    page.wait_for_function(
        "wanted => document.querySelectorAll('input:checked').length >= wanted",
        arg=len(_fields(matches[0].suggestion)),
    )
    return matches[0]


def _keys(workload: Workload, suggestion: Any, answer: Any) -> list[str]:
    # What is filled in and right is left alone: its key would take it away.
    before, after = _fields(suggestion), _fields(answer)
    root = ET.fromstring(labeling_config(workload))  # noqa: S314 - our own text
    keys = {}
    for group in root.iter("Choices"):
        for choice in group.iter("Choice"):
            keys[group.get("name"), choice.get("value")] = choice.get("hotkey")
    chosen = [keys[name, value] for name, value in after.items() if before.get(name) != value]
    return [key for key in chosen if key is not None]


def _fields(output: Any) -> dict[str, Any]:
    if isinstance(output, dict):
        return dict(output)
    return {} if output is None else {"label": output}

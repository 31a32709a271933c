"""The release desk in a real browser, as an approver uses it: by keyboard, and on a telephone."""

import re
import socket
import threading

import pytest
import uvicorn

from flywheel.desk.app import build_app
from flywheel.release.registry import MlflowRegistry
from tests.fakes.desk_world import DeskWorld
from tests.fakes.web_browser import chromium, open_browser

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PATIENCE = 60_000
SCRIPT = "<script>document.title='run'</script>"


@pytest.fixture(scope="module")
def browser():
    """Start a headless browser that talks to this machine alone."""
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """Serve a desk whose first release answers and whose second one waits for an approval."""
    chromium()
    folder = tmp_path_factory.mktemp("desk")
    registry = MlflowRegistry(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")
    world = DeskWorld(folder, registry, description=f"{SCRIPT} sorts defects")
    world.world.promoted("r1")
    world.cycle = world.judged("r2", wrong=("golden 4 dent",))
    world.add_people()
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(build_app(world.platform), log_level="error"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    world.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    yield world
    server.should_exit = True
    thread.join(timeout=20)
    listener.close()
    world.close()


@pytest.fixture(params=[(1280, 900), (400, 800)], ids=["wide", "narrow"])
def page(desk, browser, request):
    """Open a page that fails the test where a script, a style or a picture is refused."""
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height}, base_url=desk.url)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "console",
        lambda message: problems.append(message.text) if message.type == "error" else None,
    )
    yield page
    context.close()
    assert problems == []


def sign_in(page, token):
    # By keyboard: the field has the focus when the page opens.
    page.goto("/")
    page.locator("#token:focus").wait_for()
    page.keyboard.type(token)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Release desk").wait_for()


def press_on(page, name, role="link"):
    # Tab until the element has the focus, as a person does who has no mouse.
    target = page.get_by_role(role, name=name).first
    for _ in range(200):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"{name} cannot be reached by keyboard")


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_evidence_is_read_by_keyboard(desk, page):
    """From the sign-in to the broken case; nothing is wider than the screen, no script runs."""
    sign_in(page, desk.tokens["Vera"])
    assert fits(page)
    press_on(page, "Read the evidence")
    page.get_by_role("heading", name=desk.cycle.name).wait_for()
    assert fits(page)
    assert page.locator("svg.bar").first.is_visible()
    assert page.get_by_role("button", name="Approve").count() == 0
    press_on(page, "Read the broken cases side by side")
    page.get_by_role("heading", name="Cases, side by side").wait_for()
    assert page.locator("article").count() == 1
    assert fits(page)
    assert "run" not in page.title()


def test_the_style_is_applied(desk, page):
    """The policy lets the desk's own stylesheet in: figures are aligned to the right."""
    sign_in(page, desk.tokens["Vera"])
    page.goto(desk.path(desk.cycle))
    cell = page.locator("td.n").first
    assert cell.evaluate("cell => getComputedStyle(cell).textAlign") == "right"


def test_an_approver_approves_and_rolls_back_by_keyboard(desk, browser):
    """Reads, approves with a reason, sees the promoted release, and takes it back."""
    context = browser.new_context(viewport={"width": 400, "height": 800}, base_url=desk.url)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    sign_in(page, desk.tokens["Mara"])
    page.goto(desk.path(desk.cycle))
    page.get_by_label("Reason, in a sentence").focus()
    page.keyboard.type("better on every label")
    press_on(page, "Approve", role="button")
    page.get_by_text("Your approval is recorded.").wait_for()
    desk.world.promote(desk.cycle)

    page.goto("/")
    press_on(page, re.compile("version"))
    page.get_by_role("heading", name="Who answers now").wait_for()
    page.get_by_label("Reason, in a sentence").focus()
    page.keyboard.type("two plants complain")
    press_on(page, "Roll back", role="button")
    page.get_by_text("The rollback is done and recorded").wait_for()
    assert desk.world.state.routes.champion(desk.world.workload.id) == "r1"
    rows = {row.event: row.actor for row in desk.world.state.audit.of(str(desk.cycle.ref))}
    assert (rows["approval.approved"], rows["rollback.done"]) == ("Mara", "Mara")
    press_on(page, "Sign out", role="button")
    page.get_by_role("heading", name="Sign in").wait_for()
    page.goto("/")
    page.wait_for_url(re.compile("/sign-in"))
    context.close()


def test_a_form_of_another_page_is_not_sent_with_the_session(desk, browser):
    """A page of another site that sends the form itself: the cookie stays at home."""
    context = browser.new_context(base_url=desk.url)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    sign_in(page, desk.tokens["Mara"])
    action = f"{desk.url.replace('127.0.0.1', 'localhost')}{desk.path(desk.cycle)}/verdict"
    page.goto("about:blank")
    page.set_content(f'<form method="post" action="{action}"><button>Win</button></form>')
    with page.expect_navigation() as navigation:
        page.get_by_role("button", name="Win").click()
    assert navigation.value.status == 403
    context.close()

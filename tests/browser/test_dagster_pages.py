"""Dagster's pages in a real browser, as a data engineer opens them."""

import re

import pytest

from flywheel.orchestration.instance import open_instance
from flywheel.settings import load_settings
from flywheel.state import Cycle
from tests.fakes.dagster_programs import DagsterPrograms
from tests.fakes.in_process_trainer import InProcessTrainer
from tests.fakes.turn_world import TurnWorld
from tests.fakes.web_browser import chromium, open_browser

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

PATIENCE = 90_000
# What a report may not do to the pages beside it.
CURIOUS = """<!doctype html><title>asking</title><script>
fetch("/graphql?query={version}").then(() => {document.title = "reached"},
                                       () => {document.title = "kept out"});
</script>"""


@pytest.fixture(scope="module")
def browser():
    """Start a headless browser that talks to this machine alone."""
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    """Play a turn up to the waiting approval, and open it in a webserver."""
    chromium()
    home = tmp_path_factory.mktemp("deployment")
    settings = load_settings(home=home, workloads=home / "workloads", cache=home)
    programs = DagsterPrograms(settings)
    with open_instance(programs.home) as instance:
        world = TurnWorld(home, instance, settings=settings, launcher=InProcessTrainer())
        cycle = _play(world)
    world.close()
    report = home / "reports" / "parts" / "drift-2026-04-10.html"
    report.parent.mkdir(parents=True)
    report.write_text(CURIOUS)
    try:
        yield programs.start_webserver(), cycle
    finally:
        programs.close()


def _play(world: TurnWorld) -> Cycle:
    world.import_seed()
    world.send(90)
    world.move(days=100)
    world.dagster.tick("new_events_sensor")
    world.dagster.run("parts_sample_job")
    world.annotate()
    world.dagster.tick("finished_reviews_sensor")
    world.dagster.run("parts_observe_job")
    world.dagster.tick("trigger_sensor")
    [cycle] = world.platform.state.cycles.of("parts")
    return cycle


@pytest.fixture
def page(deployment, browser):
    """Open a page that fails the test when a script of it fails.

    The deployment comes first: Playwright keeps an event loop running in this thread, which
    Dagster's own machinery would trip over.
    """
    page = browser.new_page(viewport={"width": 1500, "height": 1200}, base_url=deployment[0])
    page.set_default_timeout(PATIENCE)
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert errors == []


def test_the_graph_shows_the_stages(page):
    """Every stage of a workload is a group, and so are ingest and people of the platform."""
    page.goto("/asset-groups")
    stages = ("drift", "review", "dataset", "train", "evaluate", "release")
    for group in ("platform_ingest", "platform_people", *(f"parts_{stage}" for stage in stages)):
        page.get_by_text(group, exact=True).first.wait_for()


def test_a_cycle_is_a_partition_with_its_evidence(page, deployment):
    """The gate's page of a cycle has the candidate, the checks in words and the picture."""
    cycle = deployment[1].name
    page.goto(f"/assets/parts/gate?view=partitions&partition={cycle}")
    page.get_by_text("Materialized", exact=True).first.wait_for()
    page.get_by_text(f"parts.{cycle}.").first.wait_for()
    page.get_by_text("non_inferiority").first.wait_for()
    picture = page.get_by_role("row").filter(has_text="differences").last
    picture.get_by_text("Show Markdown").click()
    image = page.get_by_role("img", name="differences with intervals")
    image.wait_for()

    assert image.evaluate("image => image.naturalWidth") > 0


def test_the_dead_letter_check_explains_itself(page):
    """Both checks of the landing are there, with what to do about dead letters."""
    page.goto("/assets/platform/landing?view=checks")
    page.get_by_text("ledger_balances").first.wait_for()
    page.get_by_text("few_dead_letters").first.click()
    page.get_by_text("flywheel dlq list").first.wait_for()


def test_row_counts_are_plots(page):
    """Numbers of a materialization draw themselves over time."""
    page.goto("/assets/platform/landing")
    page.get_by_role("button", name="Plots").click()
    page.get_by_text("records read", exact=True).first.wait_for()

    assert page.locator("canvas").count() > 0


def test_every_sensor_and_schedule_runs_by_itself(page):
    """The automation page lists them all, and Dagster holds them switched on."""
    page.goto("/automation")
    for name in ("new_events_sensor", "whole_days_sensor", "trigger_sensor", "parts_observe"):
        page.get_by_text(re.compile(name)).first.wait_for()
    place = '{repositoryLocationName: "flywheel", repositoryName: "__repository__"}'
    sensors = "... on Sensors {results {name sensorState {status}}}"
    schedules = "... on Schedules {results {name scheduleState {status}}}"
    query = (
        f"{{sensorsOrError(repositorySelector: {place}) {{{sensors}}}"
        f" schedulesOrError(repositorySelector: {place}) {{{schedules}}}}}"
    )
    told = page.request.post("/graphql", data={"query": query}).json()["data"]
    states = [s["sensorState"]["status"] for s in told["sensorsOrError"]["results"]]
    states += [s["scheduleState"]["status"] for s in told["schedulesOrError"]["results"]]

    assert set(states) == {"RUNNING"}
    assert len(states) == 14


def test_a_report_opens_and_reaches_nothing_else(page):
    """Its scripts run, without Dagster's origin: texts from the traffic cannot act as the reader."""
    answer = page.goto("/reports/parts/drift-2026-04-10.html")
    page.wait_for_function("document.title !== 'asking'")

    assert answer.status == 200
    assert page.title() == "kept out"


@pytest.mark.parametrize("name", ["parts/none.html", "parts/..%2f..%2fstate.db", "x/y.txt"])
def test_nothing_but_reports_is_served(page, name):
    """What is not a report is not there."""
    assert page.goto(f"/reports/{name}").status == 404

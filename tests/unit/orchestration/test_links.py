"""Links from assets to where their parts are looked at."""

from pathlib import Path

import pytest

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.gate_file import GateReportRef
from flywheel.artifacts.references import CandidateRef
from flywheel.clock import SystemClock
from flywheel.orchestration.links import cycle_links, workload_links
from flywheel.orchestration.presentation import defined, simulated_date
from flywheel.settings import Settings
from flywheel.usecases.by_hand import open_by_hand
from tests.fakes.hand_world import HandWorld


@pytest.fixture
def world(tmp_path):
    world = HandWorld(tmp_path)
    yield world
    world.close()


def release(world, cycle):
    """Leave what training, gate and promotion leave."""
    world.state.releases.record(
        "parts.r1", cycle=CycleRef("parts", cycle), attempt=1, manifest_digest="m",
        adapter="a", dataset_hash="d",
    )  # fmt: skip
    gate = GateReportRef(Path("/runs/gate.json"), "g", "pass")
    world.state.releases.mark_step("parts.r1", "registered", model_version="3")
    ref = CycleRef("parts", cycle)
    world.state.attempts.record(ref, 1, CandidateRef("parts.r1", "m", "d", "abc"))
    world.state.attempts.record(ref, 1, gate)


def test_a_cycle_links_to_run_report_and_card(world):
    """On the embedded registry the pages are those that `flywheel up` opens."""
    cycle = open_by_hand(world, "parts", person="ann", reason="now").name
    before = cycle_links(world, CycleRef("parts", cycle))
    release(world, cycle)
    links = cycle_links(world, CycleRef("parts", cycle))

    assert before == {}
    assert links["MLflow run"].value == "http://127.0.0.1:5000/#/runs/abc"
    assert links["model card"].value == "http://127.0.0.1:5000/#/models/parts/versions/3"
    assert links["gate report"].value == "/runs/gate.json"


def test_a_server_of_ones_own_is_linked_to(world, tmp_path):
    """MLflow's and Label Studio's addresses come from the settings."""
    cycle = open_by_hand(world, "parts", person="ann", reason="now").name
    release(world, cycle)
    world.settings = Settings(
        home=tmp_path,
        mlflow_url="https://mlflow.example.org/",
        review_queue="label_studio",
        label_studio_url="https://ls.example.org",
        label_studio_token="t",  # noqa: S106 - nobody's
    )

    assert cycle_links(world, CycleRef("parts", cycle))["MLflow run"].value == (
        "https://mlflow.example.org/#/runs/abc"
    )
    assert workload_links(world, "parts")["Label Studio"].value == "https://ls.example.org/projects"


def test_only_a_simulated_clock_has_a_simulated_date(world):
    """On the machine's clock the times of Dagster are right."""
    assert simulated_date(world) == {"simulated date": "2026-11-02 09:00 UTC"}
    world.clock = SystemClock()
    assert simulated_date(world) == {}


def test_what_was_not_measured_is_no_number():
    """Dagster plots what is left."""
    assert defined({"a": 1, "b": None, "c": 0.5}) == {"a": 1.0, "c": 0.5}

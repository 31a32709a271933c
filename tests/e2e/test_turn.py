"""One full turn of the wheel on the embedded backends, driven by the code location's own parts."""

import html

import dagster as dg
import pytest

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.errors import RefusedError
from flywheel.quality.control_slice import control_accuracy
from flywheel.release.approval import approve
from flywheel.usecases.ledger import prove_ledger
from flywheel.usecases.release import roll_back
from tests.fakes.dagster_instance import instance_like_ours
from tests.fakes.turn_world import START, TurnWorld

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Play a turn up to the waiting approval."""
    with instance_like_ours() as instance:
        world = TurnWorld(tmp_path_factory.mktemp("home"), instance)
        world.import_seed()
        world.send(120)
        world.move(days=100)
        assert all(run.success for run in world.dagster.tick("new_events_sensor"))
        assert world.dagster.run("parts_sample_job").success
        world.judgments = world.annotate()
        assert all(run.success for run in world.dagster.tick("finished_reviews_sensor"))
        assert world.dagster.run("parts_observe_job").success
        world.cycle_runs = world.dagster.tick("trigger_sensor")
        yield world
        world.close()


def materialization(world, *key):
    event = world.dagster.instance.get_latest_materialization_event(dg.AssetKey(key))
    return event.asset_materialization


def test_every_event_is_accounted_for(world):
    """The ledger balances after the landing."""
    proof = prove_ledger(world.platform)

    assert proof.balances
    assert proof.ledger.landed == 120


def test_people_were_asked_within_the_budget(world):
    """Judgments were given, and no more than the period's budget."""
    assert 0 < world.judgments <= world.workload.review.budget


def test_the_calendar_opened_one_cycle(world):
    """A quarter after the first event the trigger opens the cycle and its run goes to the gate."""
    cycles = world.platform.state.cycles.of("parts")

    assert [(cycle.name, cycle.trigger) for cycle in cycles] == [("2026Q2-1", "calendar")]
    assert [run.success for run in world.cycle_runs] == [True]


def test_the_decision_is_kept_with_its_numbers(world):
    """The ledger of decisions and the asset in the UI say the same."""
    decision = world.platform.state.decisions.of("parts")[-1]
    shown = materialization(world, "parts", "trigger")

    assert decision.opens
    assert decision.numbers
    assert shown.description == decision.reason


def test_the_gate_compared_case_by_case(world):
    """Every case of both arms is in the lake, and the picture in the UI."""
    arms = world.platform.lake.rows(
        "select arm, count(*) n from evaluations where suite = 'golden' group by 1"
    )

    assert {row["arm"]: row["n"] for row in arms}.items() >= {
        "candidate": 60,
        "champion": 60,
    }.items()
    assert materialization(world, "parts", "gate").metadata["outcome"].value == "pass"


def test_numbers_pictures_and_links_stand_on_the_assets(world):
    """Dagster plots numbers; the dates are those of the simulated clock."""
    numbers = {
        "gate": (
            "difference",
            "difference, lower",
            "latency ratio",
            "latency p95 of the candidate, ms",
        ),
        "corrections": ("new corrections", "new corrections that open a cycle"),
        "profiles": ("answers in 7 days",),
        "dataset": ("training rows", "golden cases"),
    }
    for asset, names in numbers.items():
        metadata = materialization(world, "parts", asset).metadata
        assert all(isinstance(metadata[name].value, int | float) for name in names), asset
        assert "simulated date" in metadata, asset
    adapter = materialization(world, "parts", "adapter").metadata
    assert adapter["loss curve"].value.startswith("![loss by step](data:image/png")
    assert "learning_rate" in html.unescape(adapter["recipe"].value)
    assert "/#/runs/" in adapter["MLflow run"].value


def test_the_owner_cannot_approve_what_the_system_asked_for(world):
    """A cycle opened by the system counts as its owner's."""
    with pytest.raises(RefusedError):
        approve(world.platform.state, CycleRef("parts", "2026Q2-1"), actor="tests", reason="mine")


def test_nothing_is_promoted_before_the_approval(world):
    """The approvals sensor asks for nothing while nobody has approved."""
    assert world.dagster.tick("granted_approvals_sensor") == []
    assert world.platform.state.routes.champion("parts") == "base"


def test_an_approval_promotes_and_a_rollback_takes_it_back(world):
    """The approved candidate answers, and one step puts the base back."""
    state = world.platform.state
    approve(state, CycleRef("parts", "2026Q2-1"), actor="mara", reason="better on every label")
    runs = world.dagster.tick("granted_approvals_sensor")
    promoted = state.routes.champion("parts")
    world.send(30, seed=2)
    world.move(days=1)
    world.dagster.tick("new_events_sensor")

    assert [run.success for run in runs] == [True]
    assert promoted.startswith("parts.2026Q2-1.")
    answered = world.platform.lake.rows(
        "select release, count(*) n from first_inferences group by 1 order by 2"
    )
    assert answered == [{"release": promoted, "n": 30}, {"release": "base", "n": 120}]

    roll_back(world.platform, "parts", actor="mara", reason="a test of the way back")
    assert state.routes.champion("parts") == "base"
    assert state.audit.verify()[0] > 0


def test_the_control_slice_measures_the_champion(world):
    """The unbiased figure of the base rests on judged control items."""
    control = control_accuracy(world.platform.lake, world.workload, START, world.clock.now())

    assert control.by_release["base"].judged > 0

"""From an undecided gate over a directed review to a verdict on the same candidate."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from types import SimpleNamespace

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from typer.testing import CliRunner

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.gate_file import FIRST_LOOK_FILE
from flywheel.artifacts.references import SnapshotRef
from flywheel.cli import cycles as cycles_cli
from flywheel.cli import release as release_cli
from flywheel.cli import review as review_cli
from flywheel.errors import ConcurrencyError, RefusedError
from flywheel.evaluate.run import run_gate
from flywheel.evaluate.second_look import FEWEST_CASES
from flywheel.release.approval import reject
from flywheel.review.merging.collect import collect
from flywheel.review.queues.local_desk import LocalAnswerDesk
from flywheel.review.queues.local_queue import LocalReviewQueue
from flywheel.usecases import second_look as use_case
from flywheel.usecases.explain import explain_cycle
from flywheel.usecases.second_look import (
    close_expired_wait,
    direct_review,
    second_look,
    second_look_rows,
    take_second_look,
)
from sensors.trigger import open_cycle_requests
from tests.fakes.registry import MemoryRegistry
from tests.fakes.release_world import LABELS, START, ReleaseWorld, right
from tests.fakes.review_world import put_answers

# Of 90 golden and 60 holdout cases the candidate loses five and gains three: worse by the margin, perhaps.
LOST = [f"golden {number} {LABELS[number % 3]}" for number in (0, 21, 40, 60, 81)]
GAINED = [f"golden {number} {LABELS[number % 3]}" for number in (7, 18, 27)]
NO_FIXED = {"margin": 0.05, "must_not_lose": 0.5, "slice_floor": 1.0}


@pytest.fixture
def world(tmp_path, monkeypatch, filled_once):
    """Return a world whose second cycle ended undecided, with traffic and a queue."""
    begun = filled_once("undecided", lambda: _undecided(tmp_path))
    made = _open(tmp_path, begun.registry)
    made.clock.move_to(begun.now)
    made.cycle, made.needed = begun.cycle, begun.needed
    made.answer_as("r1", GAINED)
    made.answer_as("r2", LOST)
    made.server.load("r1", tmp_path / "runs" / "r1" / "adapter")
    made.queue = LocalReviewQueue(tmp_path / "queue", made.clock)
    made.desk = LocalAnswerDesk(tmp_path / "queue", made.clock)
    made.platform = _platform(made, tmp_path)
    for module in (review_cli, cycles_cli, release_cli):
        monkeypatch.setattr(module, "open_platform", lambda **_: made.platform)
    monkeypatch.setattr("flywheel.wiring.open_platform", lambda **_: made.platform)
    monkeypatch.setattr(use_case, "judge_candidate", lambda *_: _gate(made))
    yield made
    made.close()


def _open(folder, registry):
    return ReleaseWorld(folder, registry, id="defects", gates=NO_FIXED, review={"budget": 1000})


def _undecided(folder):
    made = _open(folder, MemoryRegistry(folder))
    first = made.open_cycle()
    made.train(first, "r1", wrong=GAINED)
    made.gate(first, "r1")
    made.approve(first)
    made.promote(first)
    made.clock.move_to(made.clock.now() + timedelta(hours=1))
    cycle = made.open_cycle()
    dataset = made.train(cycle, "r2", wrong=LOST).lineage.dataset_folder
    made.state.attempts.record(cycle.ref, 1, SnapshotRef(dataset, dataset.name, {}))
    report = made.gate(cycle, "r2")
    assert report.outcome == "inconclusive", report.reasons
    texts = [f"news {n} {LABELS[n % 3]}" for n in range(900)]
    answers = [
        {
            "inference_id": f"n{number:04d}",
            "timestamp": made.clock.now() + timedelta(seconds=number),
            "input": text,
            "output": right(text),
        }
        for number, text in enumerate(texts)
    ]
    now = made.clock.now() + timedelta(hours=2)
    put_answers(made.lake, made.workload, answers, landed_at=now)
    made.close()
    return SimpleNamespace(
        cycle=cycle, needed=report.cases_to_collect, now=now, registry=made.registry
    )


def _platform(made, home):
    return SimpleNamespace(
        state=made.state,
        lake=made.lake,
        queue=made.queue,
        clock=made.clock,
        home=home,
        is_demo=False,
        workload=lambda _: made.workload,
        settings=SimpleNamespace(hash_key=SecretStr("k")),
    )


def _gate(made):
    release = made.state.releases.get("r2")
    return run_gate(
        made.lake,
        made.state,
        made.server,
        made.cycle.opened,
        attempt=1,
        candidate="r2",
        dataset=release.lineage.dataset_folder,
        codec=made.codec,
        folder=made.root / "runs" / "r2",
        directed=second_look_rows(made.platform, made.cycle.ref),
    )


def judge_all(made, limit=None):
    """Let one person answer every open item with its label."""
    workload = made.workload
    rows = made.lake.rows("SELECT item_id, input FROM review_items ORDER BY item_id")
    for row in rows[:limit]:
        made.desk.submit(workload, row["item_id"], "simulated:ann", right(row["input"]))
    made.clock.move_to(made.clock.now() + timedelta(minutes=1))
    collect(made.lake, made.queue, workload, now=made.clock.now())


def status(made):
    return made.state.cycles.get(made.cycle.ref).status


def test_undecided_gate_leaves_its_cycle_open(world):
    """It says how many cases would decide and until when it waits; no second cycle is opened."""
    cycle = world.state.cycles.get(world.cycle.ref)
    assert cycle.status == "awaiting_judgments"
    assert cycle.is_open
    assert f"{world.needed} more cases" in cycle.status_reason
    assert "waits until 2026-04-15" in cycle.status_reason
    with pytest.raises(RefusedError, match="still awaiting_judgments"):
        world.open_cycle("drift")


def test_judgments_decide_the_same_candidate(world):
    """The whole way: drawn, judged, decided a second time without a training, and explained."""
    workload, cycle = world.workload.id, world.cycle.name
    drawn = direct_review(world.platform, CycleRef(workload, cycle), actor="ann")
    assert (drawn.items, drawn.missing) == (world.needed, 0)
    with pytest.raises(RefusedError, match="lacks nothing"):
        direct_review(world.platform, CycleRef(workload, cycle))
    with pytest.raises(RefusedError, match="is not due"):
        take_second_look(world.platform, CycleRef(workload, cycle))
    assert open_cycle_requests(world.platform, [world.workload])[0] == []
    judge_all(world)
    look = second_look(world.platform, CycleRef(workload, cycle))
    assert (look.asked, look.waiting, look.usable) == (world.needed, 0, world.needed)
    [request] = open_cycle_requests(world.platform, [world.workload])[0]
    assert (request.job_name, request.run_key) == (
        f"{workload}_gate_job",
        f"{workload}:{cycle}:1:second-look",
    )
    report = take_second_look(world.platform, CycleRef(workload, cycle))
    assert (report.outcome, report.look, report.subject.candidate) == ("pass", 2, "r2")
    assert status(world) == "awaiting_approval"
    assert second_look(world.platform, CycleRef(workload, cycle)) is None
    rows = world.lake.rows(
        "SELECT count(*) AS n FROM evaluations WHERE suite = 'directed' AND arm = 'candidate'"
    )
    assert rows == [{"n": world.needed}]
    folder = world.root / "runs" / "r2"
    assert json.loads((folder / FIRST_LOOK_FILE).read_text())["outcome"] == "inconclusive"
    told = [line.what for line in explain_cycle(world.platform, CycleRef(workload, cycle)).lines]
    for words in ("review.directed by ann", "gate_look=2", "gate_outcome=inconclusive"):
        assert any(words in line for line in told)
    world.approve(world.cycle)
    assert world.promote(world.cycle).release == "r2"


def test_gate_that_stays_undecided_is_over(world):
    """There is no third look: what two looks leave open ends the cycle."""
    bad = {f"news {n} {LABELS[n % 3]}" for n in range(900) if n % 25 == 0}
    world.server.replies["r2"] = lambda text: (
        "nothing" if text in bad or text in LOST else right(text)
    )
    workload, cycle = world.workload.id, world.cycle.name
    direct_review(world.platform, CycleRef(workload, cycle))
    judge_all(world)
    report = take_second_look(world.platform, CycleRef(workload, cycle))
    assert report.outcome != "pass"
    assert report.cases_to_collect is None
    assert status(world) in {"inconclusive", "gated_fail"}
    with pytest.raises(RefusedError, match="waits for no judgments"):
        direct_review(world.platform, CycleRef(workload, cycle))


def test_another_champion_ends_the_wait(world):
    """The second look compares with the champion of the first, or not at all."""
    from flywheel.release.rollback import rollback

    direct_review(world.platform, world.cycle.ref)
    judge_all(world)
    rollback(
        world.state, world.server, world.registry, world.workload.id, actor="eve", reason="bad"
    )
    with pytest.raises(RefusedError, match="No first look"):
        take_second_look(world.platform, world.cycle.ref)


def test_time_that_is_up_ends_the_wait(world):
    """Too few judgments close the cycle; enough of them decide, by the date and not by what they say."""
    workload, cycle = world.workload.id, world.cycle.name
    direct_review(world.platform, CycleRef(workload, cycle))
    judge_all(world, limit=10)
    assert close_expired_wait(world.platform, workload) is None
    world.clock.move_to(START + timedelta(days=15))
    assert close_expired_wait(world.platform, workload) == cycle
    closed = world.state.cycles.get(CycleRef(workload, cycle))
    assert closed.status == "inconclusive"
    assert "did not come" in closed.status_reason


def test_half_of_the_judgments_decide_when_time_is_up(world):
    """What people did answer by the date is looked at."""
    workload, cycle = world.workload.id, world.cycle.name
    direct_review(world.platform, CycleRef(workload, cycle))
    judge_all(world, limit=world.needed - 5)
    assert not second_look(world.platform, CycleRef(workload, cycle)).is_due
    world.clock.move_to(START + timedelta(days=15))
    assert close_expired_wait(world.platform, workload) is None
    assert take_second_look(world.platform, CycleRef(workload, cycle)).look == 2


def test_too_few_judgments_are_no_second_look_when_time_is_up(world):
    """Nineteen usable cases leave the gate undecided; the twentieth lets it look again."""
    cycle = world.cycle.ref
    direct_review(world.platform, cycle)
    judge_all(world, limit=FEWEST_CASES - 1)
    world.clock.move_to(START + timedelta(days=15))
    look = second_look(world.platform, cycle)
    assert (look.usable, look.is_over, look.is_due) == (19, True, False)
    assert second_look_rows(world.platform, cycle) is None
    with pytest.raises(RefusedError, match="is not due"):
        take_second_look(world.platform, cycle)
    judge_all(world, limit=FEWEST_CASES)
    assert second_look(world.platform, cycle).is_due
    assert close_expired_wait(world.platform, world.workload.id) is None


def test_waiting_cycle_can_be_rejected(world):
    """Who does not want to wait closes it by name and reason."""
    reject(world.state, world.cycle.ref, actor="eve", reason="not worth it")
    assert status(world) == "rejected"


def test_database_holds_one_open_cycle(world):
    """The index of open cycles covers the one that waits, whatever a process believes."""
    statement = text(
        "INSERT INTO cycles SELECT workload_id, 'x', period, 99, trigger, 'x', opened_by, reason, "
        "status, status_reason, attempt, watermark, numbers, snapshot, opened_at, changed_at "
        "FROM cycles WHERE cycle = :cycle"
    )
    with (
        pytest.raises(ConcurrencyError, match="UNIQUE constraint failed"),
        world.state._database.write() as connection,
    ):
        connection.execute(statement, {"cycle": world.cycle.name})


def test_commands_lead_through_it(world):
    """Each says what comes next, from the undecided gate to the verdict."""
    workload, cycle = world.workload.id, world.cycle.name

    def run(app, *words):
        result = CliRunner().invoke(app, list(words), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())

    assert f"next: flywheel review direct {workload} {cycle}" in run(
        cycles_cli.app, "cycles", workload
    )
    told = run(review_cli.app, "direct", workload, cycle, "--as", "ann")
    assert f"{world.needed} of 900 answers, drawn at random" in told
    assert "next: people answer" in told
    judge_all(world)
    assert f"next: flywheel gate {workload} {cycle} --second-look" in run(
        cycles_cli.app, "explain", workload, cycle
    )
    assert "pass" in run(release_cli.app, "gate", workload, cycle, "--second-look")
    assert status(world) == "awaiting_approval"


@pytest.mark.parametrize("crash", ["push", "record"])
def test_a_crash_of_a_draw_asks_nothing_twice_and_loses_nothing(world, monkeypatch, crash):
    """The next call finishes the batch, also in another period, and the look counts it before."""
    workload, cycle = world.workload.id, world.cycle.name
    where = (world.queue, "push") if crash == "push" else (use_case, "_record_draw")
    with monkeypatch.context() as crashing:
        crashing.setattr(*where, _crash)
        with pytest.raises(KeyboardInterrupt):
            direct_review(world.platform, CycleRef(workload, cycle), actor="ann")
    assert second_look(world.platform, CycleRef(workload, cycle)).asked == world.needed
    monkeypatch.setattr("flywheel.review.sampling.directed.period_name", lambda *_: "2031Q1")
    again = direct_review(world.platform, CycleRef(workload, cycle), actor="eve")
    assert (again.items, again.missing) == (world.needed, 0)
    assert world.queue.status(world.workload).items == world.needed
    rows = world.lake.rows("SELECT count(DISTINCT item_id) AS items FROM review_items")
    assert rows == [{"items": world.needed}]
    directed = world.state.cycles.attempt(CycleRef(workload, cycle)).directed
    assert directed.batches == (again.batch_id,)
    drawn = [row for row in world.state.audit.of() if row.event == "review.directed"]
    assert [row.actor for row in drawn] == ["eve"]
    with pytest.raises(RefusedError, match="lacks nothing"):
        direct_review(world.platform, CycleRef(workload, cycle), actor="ann")


def _crash(*_, **__):
    raise KeyboardInterrupt


def test_two_draws_at_once_ask_nobody_twice(world):
    """One batch is written and sent, whichever process comes first."""
    start = Barrier(2)

    def draw():
        start.wait()
        return direct_review(world.platform, world.cycle.ref, actor="ann")

    with ThreadPoolExecutor(2) as pool:
        ended = [pool.submit(draw) for _ in range(2)]
        errors = [one.exception() for one in ended if one.exception() is not None]
    rows = world.lake.rows("SELECT inference_id FROM review_items WHERE slice = 'directed'")

    assert all(isinstance(error, ConcurrencyError | RefusedError) for error in errors), errors
    assert len(errors) < len(ended)
    assert len(rows) == len({row["inference_id"] for row in rows}) == world.needed

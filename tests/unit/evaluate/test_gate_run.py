"""A whole gate: every case kept, the report written, the cycle moved on."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from flywheel.artifacts.adapter_folder import write_manifest
from flywheel.artifacts.gate_report import parse_report
from flywheel.artifacts.local_copy import set_source
from flywheel.errors import IntegrityError, MeasurementError, RefusedError, UnavailableError
from flywheel.evaluate.render import arms_table, gate_markdown, gate_picture, gate_table
from flywheel.quality.calibration import calibration_from_facts
from flywheel.workload.answers import canonical_json
from tests.fakes.power_cut import PowerCut
from tests.fakes.release_world import make_workload


def test_gate_keeps_every_case_and_the_report(world):
    """The lake has all arms on all suites; the file's hash is in the attempt's facts."""
    cycle = world.open_cycle()
    world.train(cycle, "r1", wrong=["golden 0 scratch"])
    report = world.gate(cycle, "r1")
    assert report.outcome == "pass"
    counts = world.lake.rows(
        "SELECT arm, suite, count(*) AS n, sum(correct::int) AS correct FROM evaluations "
        "WHERE workload_id = ? GROUP BY ALL ORDER BY ALL",
        [world.workload.id],
    )
    found = {(row["arm"], row["suite"]): (row["n"], row["correct"]) for row in counts}
    assert found[("candidate", "golden")] == (90, 89)
    assert found[("base", "golden")] == found[("champion", "golden")] == (90, 30)
    assert len(found) == 4 * 3
    attempt = world.state.cycles.attempt(cycle.ref)
    content = attempt.gate.path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == report.digest == attempt.gate.digest
    assert parse_report(content.decode()) == report
    assert world.state.cycles.get(cycle.ref).status == "awaiting_approval"


def test_the_figures_to_watch_are_numbers(world):
    """Difference with its interval, accuracies and latencies; what was not measured is None."""
    cycle = world.open_cycle()
    world.train(cycle, "r1", wrong=["golden 0 scratch"])
    report = world.gate(cycle, "r1")
    figures = report.figures()
    right = report.comparisons[0]

    assert figures["accuracy of the candidate"] == right.candidate_right / right.cases
    assert figures["difference, lower"] < figures["difference"] < figures["difference, upper"]
    assert figures["margin"] == 0.05
    assert {name for name in figures if "latency" in name} == {
        "latency p95 of the champion, ms",
        "latency p95 of the candidate, ms",
        "latency ratio",
    }
    assert all(value is None or isinstance(value, int | float) for value in figures.values())


def test_standing_verdict_is_returned_without_measuring(world):
    """A repeated run asks the model nothing and changes nothing."""
    cycle = world.open_cycle()
    world.train(cycle, "r1")
    report = world.gate(cycle, "r1")
    asked = len(world.server.shots_seen)
    world.clock.move_to(world.clock.now().replace(hour=9))
    assert world.gate(cycle, "r1") == report
    assert len(world.server.shots_seen) == asked


def test_verdict_of_an_earlier_version_stands(world):
    """A report without the later rules is returned as it is, and can be approved and promoted."""
    cycle = world.judged("r1")
    path = world.state.cycles.attempt(cycle.ref).gate.path
    old = json.loads(path.read_text())
    for rule in ("must_hold", "minimum_accuracy", "first_must_be_better"):
        del old["rules"][rule]
    path.write_text(canonical_json(old) + "\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    gate = world.state.cycles.attempt(cycle.ref).gate
    world.state.attempts.record(cycle.ref, cycle.attempt, replace(gate, digest=digest))
    asked = len(world.server.shots_seen)
    assert world.gate(cycle, "r1").digest == digest
    assert len(world.server.shots_seen) == asked
    assert world.approve(cycle).gate_digest == digest
    assert world.promote(cycle).release == "r1"


def test_report_that_says_more_than_is_read_is_approved_and_not_returned_as_standing(world):
    """A later version wrote it: people can act on it, and another gate measures anew."""
    cycle = world.judged("r1")
    path = world.state.cycles.attempt(cycle.ref).gate.path
    later = json.loads(path.read_text())
    later["arms"][0]["something_new"] = 1
    path.write_text(canonical_json(later) + "\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    gate = world.state.cycles.attempt(cycle.ref).gate
    world.state.attempts.record(cycle.ref, cycle.attempt, replace(gate, digest=digest))
    assert world.approve(cycle).gate_digest == digest
    assert world.gate(cycle, "r1").digest != digest


def test_gate_run_anew_replaces_its_cases(world):
    """A gate that is measured again leaves the same number of rows."""
    cycle = world.judged("r1")
    before = world.lake.rows("SELECT count(*) AS n FROM evaluations")
    world.clock.move_to(world.clock.now().replace(hour=9))
    report = world.gate(cycle, "r1", again=True)
    assert report.measured_at == world.clock.now()
    assert world.lake.rows("SELECT count(*) AS n FROM evaluations") == before


def test_changed_report_or_champion_is_measured_anew(world):
    """A verdict that does not stand any more is not returned."""
    from flywheel.release.rollback import rollback

    world.promoted("r1")
    cycle = world.judged("r2")
    path = world.state.cycles.attempt(cycle.ref).gate.path
    path.write_text("edited")
    assert world.gate(cycle, "r2").subject.champion == "r1"
    rollback(
        world.state, world.server, world.registry, world.workload.id, actor="eve", reason="bad"
    )
    assert world.gate(cycle, "r2").subject.champion == "base"


def test_worse_candidate_closes_the_cycle(world):
    """The reason of the failure is the reason of the status."""
    world.promoted("r1")
    cycle = world.judged("r2", wrong=[f"golden {n} scratch" for n in range(0, 90, 3)])
    closed = world.state.cycles.get(cycle.ref)
    assert closed.status == "gated_fail"
    assert "golden" in closed.status_reason
    assert world.state.cycles.attempt(cycle.ref).outcome == "gated_fail"


def test_champion_is_the_comparator_and_base_an_arm_of_its_own(world):
    """After a promotion four arms with three releases are measured."""
    world.promoted("r1")
    cycle = world.open_cycle()
    world.train(cycle, "r2")
    report = world.gate(cycle, "r2")
    releases = {arm.arm: arm.release for arm in report.arms}
    assert releases == {
        "champion": "r1",
        "candidate": "r2",
        "base": "base",
        "few_shot": "base",
    }
    assert report.arm("golden", "champion").exact_match == 1.0


def test_worked_examples_are_halved_until_they_fit(world):
    """The few-shot arm takes what the context holds."""
    cycle = world.open_cycle()
    world.train(cycle, "r1")
    world.server._most_shots = 1
    report = world.gate(cycle, "r1")
    assert report.arm("golden", "few_shot") is not None
    assert set(world.server.shots_seen) == {0, 1}


def test_few_shot_that_never_fits_is_noted(world):
    """An arm that cannot be measured has no figures, and the report says why."""
    cycle = world.open_cycle()
    world.train(cycle, "r1")
    world.server._most_shots = 0
    report = world.gate(cycle, "r1")
    assert report.arm("golden", "few_shot") is None
    assert "few_shot was not measured" in report.notes[0]


def test_failed_measurement_leaves_nothing(world):
    """A server that goes away ends the gate without rows, report or status."""
    cycle = world.open_cycle()
    world.train(cycle, "r1")
    world.server.replies["r1"] = lambda _: UnavailableError("away")
    with pytest.raises(UnavailableError):
        world.gate(cycle, "r1")
    assert world.lake.rows("SELECT * FROM evaluations") == []
    assert world.state.cycles.attempt(cycle.ref).gate is None
    assert world.state.cycles.get(cycle.ref).status == "open"


def test_no_golden_rows_is_a_failed_measurement(world):
    """An empty golden set decides nothing."""
    cycle = world.open_cycle()
    world.train(cycle, "r1", golden=0)
    with pytest.raises(MeasurementError):
        world.gate(cycle, "r1")


def test_changed_dataset_is_found(world):
    """Evaluation reads only what the snapshot's manifest describes."""
    cycle = world.open_cycle()
    release = world.train(cycle, "r1")
    (release.lineage.dataset_folder / "golden.jsonl").write_text("")
    with pytest.raises(IntegrityError):
        world.gate(cycle, "r1")


def test_another_adapter_than_the_recorded_one_is_not_judged(world):
    """A home that lost its lease holds a training of its own; the published one takes its place."""
    cycle = world.open_cycle()
    adapter = Path(world.train(cycle, "r1").adapter)
    recorded = (adapter / "adapter_model.safetensors").read_bytes()
    lineage = json.loads((adapter / "manifest.json").read_text())
    del lineage["files"]

    def put(content):
        (adapter / "adapter_model.safetensors").write_bytes(content)
        write_manifest(adapter, lineage)

    put(b"trained here")
    with pytest.raises(IntegrityError, match="is not the one recorded as r1"):
        world.gate(cycle, "r1")
    assert world.state.cycles.attempt(cycle.ref).gate is None

    def bring(path, *, again=False):
        if again and path == adapter:
            put(recorded)

    set_source(world.root, SimpleNamespace(bring=bring))
    try:
        assert world.gate(cycle, "r1").outcome == "pass"
    finally:
        set_source(world.root, None)
    assert (adapter / "adapter_model.safetensors").read_bytes() == recorded


def test_another_dataset_is_refused(world):
    """A candidate is judged on the snapshot that kept its golden cases out of training."""
    world.promoted("r1")
    cycle = world.open_cycle()
    world.train(cycle, "r2")
    other = world.state.releases.get("r1").lineage.dataset_folder
    lineage = replace(world.state.releases.get("r2").lineage, dataset_folder=other)
    world.state.releases.move("r2", lineage, None)
    with pytest.raises(IntegrityError, match="was trained on the snapshot"):
        world.gate(cycle, "r2")


def test_release_of_another_attempt_is_refused(world):
    """A gate judges what its own attempt trained."""
    from flywheel.evaluate.run import run_gate

    cycle = world.judged("r1")
    second = world.state.cycles.new_attempt(cycle.ref, "again")
    with pytest.raises(RefusedError, match="was not trained by attempt 2"):
        run_gate(
            world.lake,
            world.state,
            world.server,
            cycle.opened,
            attempt=second.number,
            candidate="r1",
            dataset=world.state.releases.get("r1").lineage.dataset_folder,
            codec=world.codec,
            folder=world.root,
        )


def test_an_attempt_that_was_replaced_while_it_was_measured_moves_nothing(world):
    """A verdict about attempt 1 does not put attempt 2, which has no candidate, up for approval."""
    cycle = world.open_cycle()
    world.train(cycle, "r1")
    retried = []

    def retry(*_):
        if not retried:
            retried.append(world.state.cycles.new_attempt(cycle.ref, "more labels", actor="ann"))

    with pytest.raises(RefusedError, match="was started meanwhile"):
        world.gate(cycle, "r1", on_progress=retry)
    present = world.state.cycles.get(cycle.ref)
    assert (present.status, present.attempt) == ("open", 2)
    assert world.state.cycles.attempt(cycle.ref, 1).gate is None
    assert world.lake.rows("SELECT count(*) AS n FROM evaluations") == [{"n": 0}]


def test_promoted_cycle_is_not_gated_again(world):
    """The evidence of a promotion stays as it was."""
    cycle = world.promoted("r1")
    with pytest.raises(RefusedError, match="gate is closed"):
        world.gate(cycle, "r1")


def test_failed_cycle_keeps_its_verdict(world):
    """A failed gate is not measured until it passes: that takes a new attempt."""
    world.promoted("r1")
    cycle = world.judged("r2", wrong=[f"golden {n} scratch" for n in range(0, 90, 3)])
    assert world.gate(cycle, "r2").outcome == "fail"
    with pytest.raises(RefusedError, match="gated_fail"):
        world.gate(cycle, "r2", again=True)
    assert "r2" not in world.server.loaded


def test_report_renders_as_table_picture_and_markdown(world):
    """A picture fits into Dagster's metadata, and label names stay text."""
    from io import StringIO

    from rich.console import Console

    cycle = world.open_cycle()
    world.train(cycle, "r1")
    report = world.gate(cycle, "r1")
    check = report.checks[0].model_copy(update={"reason": "[red]<b>|x"})
    report = report.model_copy(update={"checks": (check, *report.checks[1:])})
    console = Console(file=StringIO(), width=200)
    console.print(gate_table(report), arms_table(report))
    assert "[red]<b>|x" in console.file.getvalue()
    golden = report.arm("golden", "candidate")
    lower, upper = golden.calibration_interval
    error = f"{golden.calibration_error:.3f} ({lower:.3f} to {upper:.3f})"
    assert error in console.file.getvalue()
    assert "&#91;red&#93;&#60;b&#62;&#124;x" in gate_markdown(report)
    picture = gate_picture(report)
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 100_000


def test_case_that_a_person_named_is_held(world):
    """A candidate that is wrong on a named case fails, one that is right on it passes."""
    world.workload = make_workload(world.workload.id, gates={"must_hold": ["must_not_lose-1"]})
    good = world.judged("r1")
    assert world.state.cycles.get(good.ref).status == "awaiting_approval"
    world.state.cycles.set_status(good.ref, "rejected", "next one")
    world.clock.move_to(world.clock.now().replace(hour=9))
    bad = world.judged("r2", wrong=["must_not_lose 1 dent"])
    closed = world.state.cycles.get(bad.ref)
    assert closed.status == "gated_fail"
    assert "must_not_lose-1" in closed.status_reason


def test_calibration_is_kept_with_the_release(world):
    """The candidate's confidence is fitted on the holdout, which comes from the control slice."""
    cycle = world.open_cycle()
    world.train(cycle, "r1")
    report = world.gate(cycle, "r1")
    kept = calibration_from_facts(world.state.releases.get("r1").calibration)
    # The fake is always 0.9 sure and always right.
    assert (kept.method, kept.cases) == ("platt", 60)
    assert 0.9 < kept(0.9) < 1.0
    assert kept.summary in report.notes
    assert "calibrated on 60 judged cases by platt" in kept.summary


@pytest.mark.parametrize("undo", [True, False])
def test_a_power_cut_after_the_decision_leaves_its_report(world, monkeypatch, undo):
    """The digest in the state is the one of the file, whatever the disk had not written yet."""
    cycle = world.open_cycle()
    world.train(cycle, "r1")
    disk = PowerCut(monkeypatch)
    report = world.gate(cycle, "r1")
    monkeypatch.undo()
    disk.settle(undo=undo)

    gate = world.state.cycles.attempt(cycle.ref).gate
    content = gate.path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == report.digest == gate.digest

"""What stages leave with attempts and releases: typed, in the JSON that earlier versions wrote."""

import json
import shutil
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.references import CandidateRef, DirectedReview, SnapshotRef
from flywheel.clock import ManualClock
from flywheel.errors import IntegrityError
from flywheel.release.approval import reject
from flywheel.release.audit_check import audit_differences
from flywheel.release.evidence import gate_of
from flywheel.state import State

OLD = Path(__file__).parents[2] / "data" / "state-499adc1"
CYCLE, RUN = CycleRef("defects0", "2026Q2-2"), "8a1b7b1b4f6445788e34863d30272817"


@pytest.fixture
def home(tmp_path):
    """Return a home with the state and the gate reports that version 499adc1 wrote."""
    shutil.copytree(OLD / "runs", tmp_path / "runs")
    with sqlite3.connect(tmp_path / "state.db") as connection:
        connection.executescript((OLD / "state.sql").read_text(encoding="utf-8"))
    connection.close()
    return tmp_path


@pytest.fixture
def state(home):
    """Return that state, opened by this version."""
    url = f"sqlite:///{home / 'state.db'}"
    opened = State.open(url, ManualClock(datetime(2026, 4, 2, tzinfo=UTC)), home=home)
    yield opened
    opened.close()


def _column(home, table, key):
    with sqlite3.connect(home / "state.db") as connection:
        query = f"SELECT facts FROM {table} WHERE {key}"
        [(text,)] = connection.execute(query).fetchall()
    connection.close()
    return json.loads(text)


def test_an_attempt_of_the_version_before_is_read(state, home):
    """Every artifact that it left has its type, and its files are found in this home."""
    attempt = state.cycles.attempt(CYCLE)
    folder = home / "datasets" / "defects0" / "370f07ae8247fff524d4ce013ee6c707"
    assert attempt.requested_by == "mara"
    assert attempt.dataset == SnapshotRef(
        folder,
        folder.name,
        {"train": 7, "preference": 0, "golden": 90, "holdout": 60, "must_not_lose": 6},
    )
    assert attempt.candidate.release == "r2"
    assert attempt.candidate.run_id == RUN
    assert attempt.directed.batches == ("2026Q2-directed-2026Q2-2.2-1",)
    report = gate_of(attempt).read()
    assert (report.outcome, report.digest) == (attempt.gate.outcome, attempt.gate.digest)
    assert attempt.gate.judgments_until == report.judgments_until
    first = state.attempts.get(CYCLE, 1)
    assert (first.dataset, first.candidate, first.gate, first.requested_by) == (None,) * 4


def test_a_release_of_the_version_before_is_read(state, home):
    """Its lineage, its version and who approved it."""
    promoted = state.releases.get("r1")
    assert promoted.lineage.dataset_folder.is_relative_to(home)
    assert promoted.lineage.metrics == {"loss": 0.1}
    assert (promoted.model_version, promoted.approved_by) == ("1", "simulated:bob")
    assert promoted.calibration["method"] == "platt"
    assert state.releases.get("r2").model_version is None


def test_the_rows_still_agree_with_the_audit(state):
    """The audit of the version before is read through the same types."""
    found = audit_differences(
        CYCLE.workload_id,
        state.audit.of(),
        releases=state.releases.of(CYCLE.workload_id),
        approvals=state.approvals.of(CYCLE.workload_id),
        attempts=[state.cycles.attempt(CYCLE)],
        stages=[],
        routes=state.routes.of(CYCLE.workload_id),
    )
    assert found == []


def test_an_open_cycle_of_the_version_before_goes_on(state):
    """A person can decide about its candidate, on the evidence that was recorded then."""
    attempt = state.cycles.attempt(CYCLE)
    verdict = reject(state, CYCLE, actor="bob", reason="the labels changed")
    assert (verdict.release, verdict.gate_digest) == ("r2", attempt.gate.digest)
    assert verdict.requested_by == "ann, mara"
    assert state.cycles.get(CYCLE).status == "rejected"


def test_what_is_written_again_has_the_same_form(state, home):
    """Recording every artifact anew leaves the columns as the version before wrote them."""
    attempt = state.cycles.attempt(CYCLE)
    stored = _column(home, "cycle_attempts", "attempt = 2")
    for artifact in (attempt.dataset, attempt.candidate, attempt.gate, attempt.directed):
        state.attempts.record(CYCLE, 2, artifact)
    written = _column(home, "cycle_attempts", "attempt = 2")
    # Paths were relative in one of the two by hand; a row holds them so.
    assert list(written) == list(stored)
    assert written == stored

    release = state.releases.get("r1")
    stored = _column(home, "releases", "release = 'r1'")
    state.releases.move("r1", release.lineage, release.model_version)
    state.releases.calibrate("r1", release.calibration)
    state.releases.mark_step("r1", "switched", approved_by=release.approved_by)
    assert _column(home, "releases", "release = 'r1'") == stored


def test_a_key_of_another_version_stays_in_its_row(state, home):
    """What this version does not read is not lost when it writes."""
    with sqlite3.connect(home / "state.db") as connection:
        connection.execute(
            "UPDATE cycle_attempts SET facts = json_set(facts, '$.something_new', 1)"
            " WHERE attempt = 2"
        )
    connection.close()
    state.attempts.record(CYCLE, 2, DirectedReview(("a", "b")))
    written = _column(home, "cycle_attempts", "attempt = 2")
    assert (written["something_new"], written["directed_batches"]) == (1, ["a", "b"])


def test_a_release_without_its_lineage_is_an_error_that_says_so(state):
    """Other figures of such a row can still be read."""
    state.releases.record(
        "r9",
        cycle=CYCLE,
        attempt=2,
        manifest_digest="m",
        adapter="",
        dataset_hash="d",
    )
    release = state.releases.get("r9")
    assert release.recorded_lineage is None
    with pytest.raises(IntegrityError, match="does not hold what the release r9 was trained on"):
        _ = release.lineage


def test_an_artifact_replaces_the_former_one_of_its_kind(state):
    """The rest of the attempt stays."""
    attempt = state.cycles.attempt(CYCLE)
    other = replace(attempt.candidate, run_id="another")
    after = state.attempts.record(CYCLE, 2, other)
    assert (after.candidate, after.gate) == (other, attempt.gate)
    assert CandidateRef.from_facts({"release": "r1"}) is None


def test_a_state_of_before_there_were_stages_takes_them(state, home):
    """It had none, and a cycle of it may be in one, the only open one as before."""
    assert state.stages.of("defects0") == []
    assert state.stages.current("defects0") is None
    with sqlite3.connect(home / "state.db") as connection:
        query = "SELECT sql FROM sqlite_master WHERE name = 'uq_cycles_one_open'"
        [(index,)] = connection.execute(query).fetchall()
    connection.close()
    assert "'releasing'" in index

"""Runs a gate: measures every arm on every suite, keeps every case, writes the report.

Whether anything is promoted is decided elsewhere, from the report's file and its digest.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from flywheel.artifacts.actors import SYSTEM
from flywheel.artifacts.adapter_folder import verify_recorded_adapter
from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.gate_file import FIRST_LOOK_FILE, GateReportRef, write_gate_report
from flywheel.artifacts.gate_report import GateReport, GateSubject
from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.artifacts.snapshot import EVALUATION_SPLITS, read_rows, verify_snapshot
from flywheel.errors import IntegrityError, RefusedError
from flywheel.evaluate.arms import Progress, measure_arms, plan_arms
from flywheel.evaluate.gate import decide_gate
from flywheel.evaluate.suites import CaseResult, Rows, Suite
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.ports.model_server import BASE_RELEASE, ModelServer
from flywheel.quality.calibration import Calibration, fit_calibration
from flywheel.state import OPEN_STATUSES, CycleStatus, State
from flywheel.workload.answers import AnswerCodec, canonical_json
from flywheel.workload.few_shot import FewShotRules
from flywheel.workload.model import Workload

__all__ = ["load_releases", "new_label_ids", "run_gate"]

_FEW_SHOT = FewShotRules(selection="labels")
_STATUS: dict[str, CycleStatus] = {
    "pass": "awaiting_approval",
    "fail": "gated_fail",
    "inconclusive": "inconclusive",
}


def run_gate(  # noqa: PLR0913 - everything that is judged, and where it is kept
    lake: Lake,
    state: State,
    server: ModelServer,
    opened: OpenedWorkload,
    *,
    attempt: int,
    candidate: str,
    dataset: Path,
    codec: AnswerCodec,
    folder: Path,
    served_precision: str | None = None,
    directed: Rows | None = None,
    few_shot: FewShotRules = _FEW_SHOT,
    notes: Sequence[str] = (),
    publish: Callable[[Path], None] = lambda _: None,
    again: bool = False,
    on_progress: Progress | None = None,
) -> GateReport:
    """Judge a candidate against the present champion and write down what follows.

    Writes the table ``evaluations``, ``gate.json`` in ``folder``, the facts of the attempt, the
    status of the cycle, an audit row, and with the release how its confidence is calibrated. A verdict on the same candidate, champion and rules that
    still stands is returned as it is, so that a repeated run voids no approval.

    Args:
        lake: keeps every case.
        state: knows the candidate (``record_release``), the champion and the cycle.
        server: serves the workload's base.
        opened: the cycle, with the workload whose rules hold for it.
        attempt: number of the attempt.
        candidate: release name.
        dataset: snapshot folder.
        codec: how answers are written for the base model.
        folder: where the report goes.
        served_precision: of the server's weights, for the report.
        directed: cases that were collected since an undecided first look, for the second look;
            None: this is a first look, or a verdict stands.
        few_shot: worked examples of the arm ``few_shot``, chosen by ``labels`` or ``similar``, or off.
        notes: what a reader of the report must know besides, such as why an arm is off.
        publish: called with each file that other machines need, before a row names it.
        again: measure again even where a verdict exists.
        on_progress: told what is measured, how many answers are done, of how many (0: not known yet).

    Raises:
        RefusedError: the cycle is over or was retried meanwhile, the release is not this attempt's, or a second look has no
            first one to follow.
        IntegrityError: the snapshot was changed, the candidate was trained on another one, or its
            adapter is not the recorded one.
        MeasurementError: something could not be measured; nothing is written.
    """
    workload, cycle = opened.workload, opened.cycle
    subject = _subject_of(state, opened, attempt, candidate, served_precision)
    standing = _standing_report(state, subject, workload)
    if directed is not None:
        _require_first_look(standing, subject)
    elif standing is not None and not again:
        return standing
    _require_open(state, cycle)
    _require_dataset(dataset, subject)
    load_releases(state, server, candidate, subject.champion)
    suites: dict[Suite, Rows] = {suite: read_rows(dataset, suite) for suite in EVALUATION_SPLITS}
    if directed is not None:
        suites["directed"] = directed
    train = read_rows(dataset, "train")
    if on_progress is not None:
        on_progress("choosing worked examples that fit the base model's context", 0, 0)
    arms, arm_notes = plan_arms(
        server, codec, train, subject.champion, candidate, few_shot=few_shot
    )
    cases = measure_arms(server, codec, suites, arms, on_progress=on_progress)
    calibration = _calibrated(cases)
    report = decide_gate(
        workload.gates,
        subject,
        cases,
        new_label_ids=new_label_ids(state, workload, subject.champion),
        notes=[*notes, *arm_notes, calibration.summary],
        # A cycle does not wait for what no period can pay for.
        most_to_collect=workload.review.budget,
        measured_at=state.clock.now(),
    )
    _require_present_attempt(state, subject)
    _require_open(state, cycle)
    keep = {"workload_id": workload.id, "cycle": cycle.name, "attempt": attempt}
    lake.replace("evaluations", _table(cases, report), where=keep)
    gate = write_gate_report(report, folder)
    if report.look > 1:
        publish(gate.path.with_name(FIRST_LOOK_FILE))
    publish(gate.path)
    _record(state, report, gate, calibration)
    if report.outcome != "pass":
        server.unload(candidate)
    return report


def _subject_of(
    state: State,
    opened: OpenedWorkload,
    attempt: int,
    candidate: str,
    precision: str | None,
) -> GateSubject:
    workload, cycle = opened.workload, opened.cycle.name
    release = state.releases.get(candidate)
    if (release.workload_id, release.cycle, release.attempt) != (workload.id, cycle, attempt):
        raise RefusedError(
            f"{candidate} was not trained by attempt {attempt} of cycle {cycle}.",
            next_step="judge the release that this attempt trained",
        )
    return GateSubject(
        workload_id=workload.id,
        cycle=cycle,
        attempt=attempt,
        candidate=candidate,
        champion=state.routes.champion(workload.id),
        manifest_digest=release.manifest_digest,
        dataset_hash=release.dataset_hash,
        taxonomy_version=workload.taxonomy_version,
        served_precision=precision,
    )


def _require_open(state: State, cycle: CycleRef) -> None:
    status = state.cycles.get(cycle).status
    if status not in {*OPEN_STATUSES, "expired"} - {"releasing"}:
        raise RefusedError(
            f"Cycle {cycle.name} of {cycle.workload_id} is {status}: its gate is closed.",
            next_step="start a new attempt where the cycle failed, else open the next cycle",
        )


def _require_first_look(standing: GateReport | None, subject: GateSubject) -> None:
    if standing is None or standing.cases_to_collect is None:
        raise RefusedError(
            f"No first look at {subject.candidate} against {subject.champion} waits for a second.",
            next_step="start a new attempt: the champion, the rules or the report changed since, "
            "or the gate is decided",
        )


def _require_dataset(dataset: Path, subject: GateSubject) -> None:
    snapshot_hash = verify_snapshot(dataset).hash
    if snapshot_hash != subject.dataset_hash:
        raise IntegrityError(
            f"{subject.candidate} was trained on the snapshot {subject.dataset_hash[:12]}, "
            f"not on {snapshot_hash[:12]}.",
            next_step="judge it on its own snapshot: another one may hold its training rows",
        )


def _standing_report(state: State, subject: GateSubject, workload: Workload) -> GateReport | None:
    attempt = state.cycles.attempt(subject.cycle_ref, subject.attempt)
    gate = attempt.gate
    if gate is None:
        return None
    try:
        report = gate.read()
    except IntegrityError:
        return None  # a file that is missing or was changed is measured again
    if report.digest != gate.digest:
        return None  # it says more than this version reads
    if report.subject.served_precision is None:
        # Of an earlier version, which served every base at its own precision.
        subject = subject.model_copy(update={"served_precision": None})
    return report if (report.subject, report.rules) == (subject, workload.gates) else None


def load_releases(state: State, server: ModelServer, *releases: str) -> None:
    """Load releases where they are to be measured; the base needs no loading.

    Raises:
        IntegrityError: an adapter is not the one that the state names.
    """
    for name in releases:
        if name != BASE_RELEASE:
            release = state.releases.get(name)
            folder = Path(release.adapter)
            verify_recorded_adapter(folder, release.manifest_digest, release=name)
            server.load(name, folder)


def new_label_ids(state: State, workload: Workload, champion: str) -> frozenset[str]:
    """Return the active labels that came after a champion was trained."""
    # The base was never taught any label by its name alone, so that none is new to it.
    if workload.taxonomy is None or champion == BASE_RELEASE:
        return frozenset()
    champion_version = state.releases.get(champion).lineage.taxonomy_version
    return frozenset(
        label.id for label in workload.taxonomy.active if label.added > champion_version
    )


def _calibrated(cases: Sequence[CaseResult]) -> Calibration:
    # The holdout comes from the control slice: judged, not trained on by this candidate, and not
    # chosen by confidence.
    judged = [
        case
        for case in cases
        if (case.arm, case.suite) == ("candidate", "holdout") and case.confidence is not None
    ]
    return fit_calibration(
        [float(case.confidence or 0.0) for case in judged], [case.correct for case in judged]
    )


def _require_present_attempt(state: State, subject: GateSubject) -> None:
    # Measuring takes minutes, in which a person may have started another attempt: its cycle is not
    # to be moved by what was found about this one.
    current_attempt = state.cycles.get(subject.cycle_ref).attempt
    if current_attempt != subject.attempt:
        raise RefusedError(
            f"Attempt {current_attempt} of cycle {subject.cycle} was started meanwhile; what was measured "
            f"about attempt {subject.attempt} is not kept.",
            next_step=f"run the steps of attempt {current_attempt}",
        )


def _record(
    state: State, report: GateReport, gate: GateReportRef, calibration: Calibration
) -> None:
    subject = report.subject
    with state.transaction():
        _require_present_attempt(state, subject)
        state.attempts.record(subject.cycle_ref, subject.attempt, gate)
        state.releases.calibrate(subject.candidate, calibration.facts())
        reason = "; ".join(report.reasons)
        status = _STATUS[report.outcome]
        if gate.judgments_until is not None:
            status = "awaiting_judgments"
            reason += f"; waits until {gate.judgments_until:%Y-%m-%d} for `flywheel review direct`"
        state.cycles.set_status(subject.cycle_ref, status, reason)
        details = {**gate.to_facts(), "candidate": subject.candidate, "champion": subject.champion}
        where = str(subject.cycle_ref)
        state.audit.append("gate.decided", where, SYSTEM, {**details, "attempt": subject.attempt})


def _table(cases: Sequence[CaseResult], report: GateReport) -> pa.Table:
    subject = report.subject
    common = {
        "workload_id": subject.workload_id,
        "cycle": subject.cycle,
        "attempt": subject.attempt,
        "measured_at": report.measured_at,
    }
    names: tuple[str, ...] = (
        "suite",
        "arm",
        "release",
        "inference_id",
        "label_id",
        "input",
        "text",
        "correct",
    )
    names += ("schema_valid", "confidence", "seconds", "subject_id")
    columns: dict[str, list[Any]] = {name: [getattr(c, name) for c in cases] for name in names}
    columns |= {
        name: [canonical_json(getattr(c, name)) for c in cases] for name in ("expected", "output")
    }
    columns |= {name: [value] * len(cases) for name, value in common.items()}
    schema = TABLES["evaluations"].schema
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)

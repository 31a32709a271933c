"""Runs a gate: measures every arm on every suite, keeps every case, writes the report.

Whether anything is promoted is decided elsewhere, from the report's file and its digest.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from flywheel.answers import AnswerCodec, canonical_json
from flywheel.errors import DataError, RefusedError
from flywheel.evaluate.gate import decide_gate
from flywheel.evaluate.report import GateReport, GateSubject
from flywheel.evaluate.suites import Arm, CaseResult, Suite, choose_shots, evaluate_arm
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.ports.model_server import BASE_RELEASE, ModelServer, Shot
from flywheel.snapshots import read_rows
from flywheel.state import CycleStatus, Release, State
from flywheel.workload import Workload

__all__ = ["GATE_FILE", "ArmPlan", "measure_arms", "plan_arms", "run_gate"]

GATE_FILE = "gate.json"

_SUITES: tuple[Suite, ...] = ("golden", "holdout", "must_not_lose")
_CHUNK = 64
_WARM_UP = 8
_STATUS: dict[str, CycleStatus] = {
    "pass": "awaiting_approval",
    "fail": "gated_fail",
    "inconclusive": "inconclusive",
}
Rows = Sequence[Mapping[str, Any]]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ArmPlan:
    """One arm: which release it asks, and with which worked examples."""

    arm: Arm
    release: str
    shots: tuple[Shot, ...] = ()


def run_gate(  # noqa: PLR0913 - everything that is judged, and where it is kept
    lake: Lake,
    state: State,
    server: ModelServer,
    workload: Workload,
    *,
    cycle: str,
    attempt: int,
    candidate: str,
    dataset: Path,
    codec: AnswerCodec,
    folder: Path,
    shots: int = 4,
    on_progress: Progress | None = None,
) -> GateReport:
    """Judge a candidate against the present champion and write down what follows.

    Writes the table ``evaluations``, ``gate.json`` in ``folder``, the facts of the attempt, the
    status of the cycle and an audit row. Running it again for the same attempt replaces them.

    Args:
        lake: keeps every case.
        state: knows the candidate (``record_release``), the champion and the cycle.
        server: serves the workload's base.
        workload: as the cycle's snapshot has it.
        cycle: name of the cycle.
        attempt: number of the attempt.
        candidate: release name.
        dataset: snapshot folder.
        codec: how answers are written for the base model.
        folder: where the report goes.
        shots: worked examples of the few-shot arm.
        on_progress: told what was measured, how many answers are done, of how many.

    Raises:
        RefusedError: the cycle is over, or the release is not this attempt's.
        MeasurementError: something could not be measured; nothing is written.
    """
    release = _candidate_of(state, workload.id, cycle, attempt, candidate)
    champion = state.champion(workload.id)
    _load(state, server, candidate, champion)
    suites = {suite: read_rows(dataset, suite) for suite in _SUITES}
    train = read_rows(dataset, "train")
    arms, notes = plan_arms(server, codec, train, champion, candidate, shots=shots)
    cases = measure_arms(server, codec, suites, arms, on_progress=on_progress)
    report = decide_gate(
        workload.gates,
        GateSubject(
            workload_id=workload.id,
            cycle=cycle,
            attempt=attempt,
            candidate=candidate,
            champion=champion,
            manifest_digest=release.manifest_digest,
            dataset_hash=release.dataset_hash,
            taxonomy_version=workload.taxonomy_version,
        ),
        cases,
        new_label_ids=_new_label_ids(state, workload, champion),
        notes=notes,
        measured_at=state.clock.now(),
    )
    keep = {"workload_id": workload.id, "cycle": cycle, "attempt": attempt}
    lake.replace("evaluations", _table(cases, report), where=keep)
    _record(state, report, folder)
    if report.outcome != "pass":
        server.unload(candidate)
    return report


def plan_arms(
    server: ModelServer,
    codec: AnswerCodec,
    train: Rows,
    champion: str,
    candidate: str,
    *,
    shots: int,
) -> tuple[list[ArmPlan], list[str]]:
    """Choose the arms and their worked examples; the notes say what cannot be measured.

    Worked examples are halved until they fit the context of the base model.
    """
    arms = [ArmPlan("champion", champion), ArmPlan("candidate", candidate)]
    if champion != BASE_RELEASE:
        arms.append(ArmPlan("base", BASE_RELEASE))
    chosen = choose_shots(train, count=shots, seed=codec.workload.seed)
    longest = sorted((str(row["input"]) for row in train), key=len)[-1:]
    while chosen:
        try:
            server.answer(BASE_RELEASE, codec, longest, shots=chosen)
        except DataError:
            chosen = chosen[: len(chosen) // 2]
        else:
            return [*arms, ArmPlan("few_shot", BASE_RELEASE, chosen)], []
    return arms, ["few_shot was not measured: no worked example fits the base model's context"]


def measure_arms(
    server: ModelServer,
    codec: AnswerCodec,
    suites: Mapping[Suite, Rows],
    arms: Sequence[ArmPlan],
    *,
    on_progress: Progress | None = None,
) -> list[CaseResult]:
    """Let every arm answer every suite, by turns, so that a slow minute meets all of them.

    When the champion is the base itself, its cases count for the arm ``base`` as well.
    """
    total = sum(map(len, suites.values())) * len(arms)
    done = 0
    cases: list[CaseResult] = []
    warm_up = [str(row["input"]) for rows in suites.values() for row in rows][:_WARM_UP]
    for plan in arms:
        server.answer(plan.release, codec, warm_up, shots=plan.shots)
    for suite, chunk in _chunks(suites):
        for plan in arms:
            cases += evaluate_arm(
                server,
                codec,
                chunk,
                suite=suite,
                arm=plan.arm,
                release=plan.release,
                shots=plan.shots,
            )
            done += len(chunk)
            if on_progress is not None:
                on_progress(f"{plan.arm} on {suite}", done, total)
    if not any(plan.arm == "base" for plan in arms):
        cases += [replace(case, arm="base") for case in cases if case.arm == "champion"]
    return cases


def _chunks(suites: Mapping[Suite, Rows]) -> Iterator[tuple[Suite, Rows]]:
    for suite, rows in suites.items():
        for start in range(0, len(rows), _CHUNK):
            yield suite, rows[start : start + _CHUNK]


def _candidate_of(
    state: State, workload_id: str, cycle: str, attempt: int, candidate: str
) -> Release:
    status = state.get_cycle(workload_id, cycle).status
    if status in {"promoted", "rejected"}:
        raise RefusedError(
            f"Cycle {cycle} of {workload_id} is {status}: its gate is closed.",
            next_step="open the next cycle",
        )
    release = state.get_release(candidate)
    if (release.workload_id, release.cycle, release.attempt) != (workload_id, cycle, attempt):
        raise RefusedError(
            f"{candidate} was not trained by attempt {attempt} of cycle {cycle}.",
            next_step="judge the release that this attempt trained",
        )
    return release


def _load(state: State, server: ModelServer, *releases: str) -> None:
    for name in releases:
        if name != BASE_RELEASE:
            server.load(name, Path(state.get_release(name).adapter))


def _new_label_ids(state: State, workload: Workload, champion: str) -> frozenset[str]:
    # The base was never taught any label by its name alone, so that none is new to it.
    if workload.taxonomy is None or champion == BASE_RELEASE:
        return frozenset()
    known = int(state.get_release(champion).facts["taxonomy_version"])
    return frozenset(label.id for label in workload.taxonomy.active if label.added > known)


def _record(state: State, report: GateReport, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = (folder / GATE_FILE).absolute()
    scratch = path.with_suffix(".part")
    scratch.write_text(report.to_json(), encoding="utf-8")
    scratch.replace(path)
    subject = report.subject
    facts = {"gate_report": str(path), "gate_digest": report.digest, "gate_outcome": report.outcome}
    with state.transaction():
        state.record_attempt(subject.workload_id, subject.cycle, subject.attempt, **facts)
        reason = "; ".join(report.reasons)
        status = _STATUS[report.outcome]
        state.set_cycle_status(subject.workload_id, subject.cycle, status, reason)
        details = {**facts, "candidate": subject.candidate, "champion": subject.champion}
        where = f"{subject.workload_id}/{subject.cycle}"
        state.audit("gate.decided", where, "system", {**details, "attempt": subject.attempt})


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

"""`measure_few_shot`: the gate's rules on the base model with worked examples, before a training."""

from collections.abc import Sequence
from dataclasses import replace

from flywheel.artifacts.few_shot_finding import FewShotFinding
from flywheel.artifacts.gate_report import GateSubject
from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.artifacts.snapshot import EVALUATION_SPLITS, read_rows, verify_snapshot
from flywheel.evaluate.arms import ArmPlan, Progress, measure_arms
from flywheel.evaluate.gate import decide_gate
from flywheel.evaluate.run import load_releases, new_label_ids
from flywheel.evaluate.shots import plan_shots
from flywheel.evaluate.suites import CaseResult, Rows, Suite
from flywheel.ports.model_server import BASE_RELEASE, ModelServer
from flywheel.state import Attempt, State
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.few_shot import FewShotRules

__all__ = ["measure_few_shot"]


def measure_few_shot(
    state: State,
    server: ModelServer,
    opened: OpenedWorkload,
    *,
    attempt: Attempt,
    codec: AnswerCodec,
    rules: FewShotRules,
    on_progress: Progress | None = None,
) -> FewShotFinding | None:
    """Judge worked examples as a candidate is judged; nothing is written.

    Args:
        state: knows the champion.
        server: serves the workload's base.
        opened: the cycle, with the workload whose rules hold for it.
        attempt: whose snapshot is used; the examples are training rows of it.
        codec: how answers are written for the base model.
        rules: ``selection`` is ``labels`` or ``similar``.
        on_progress: told what is measured, how many answers are done, of how many.

    Returns:
        None where no worked example fits the base model's context.

    Raises:
        MeasurementError: something could not be measured.
        UnavailableError: the server is away.
    """
    workload, champion = opened.workload, state.routes.champion(opened.workload.id)
    assert attempt.dataset is not None  # called before the training of a dataset
    dataset = attempt.dataset.folder
    snapshot = verify_snapshot(dataset)
    load_releases(state, server, champion)
    plan = plan_shots(server, codec, read_rows(dataset, "train"), rules)
    if not plan.count:
        return None
    arms = [
        ArmPlan("champion", champion),
        ArmPlan("few_shot", BASE_RELEASE, plan.shots),
    ]
    suites: dict[Suite, Rows] = {suite: read_rows(dataset, suite) for suite in EVALUATION_SPLITS}
    cases = measure_arms(server, codec, suites, arms, on_progress=on_progress)
    report = decide_gate(
        workload.gates,
        GateSubject(
            workload_id=workload.id,
            cycle=opened.cycle.name,
            attempt=attempt.number,
            candidate="few_shot",
            champion=champion,
            manifest_digest="",
            dataset_hash=snapshot.hash,
            taxonomy_version=workload.taxonomy_version,
        ),
        _as_candidate(cases),
        new_label_ids=new_label_ids(state, workload, champion),
        measured_at=state.clock.now(),
    )
    together = report.comparisons[0]
    return FewShotFinding(
        outcome=report.outcome,
        reason="; ".join(report.reasons),
        selection=rules.selection,
        examples=plan.count,
        right=together.candidate_right,
        champion_right=together.champion_right,
        cases=together.cases,
        champion=champion,
        dataset_hash=snapshot.hash,
        exact=not report.texts,
    )


def _as_candidate(cases: Sequence[CaseResult]) -> list[CaseResult]:
    # The copies of the champion as the arm `base` are left out: there is no adapter to compare.
    arms = {"champion": "champion", "few_shot": "candidate"}
    return [replace(case, arm=arms[case.arm]) for case in cases if case.arm in arms]

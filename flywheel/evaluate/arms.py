"""The arms of an evaluation: which release answers, with which worked examples, in which order."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from flywheel.evaluate.latency import PART_ANSWERS
from flywheel.evaluate.shots import plan_shots
from flywheel.evaluate.suites import Arm, CaseResult, Rows, Suite, evaluate_arm
from flywheel.ports.model_server import BASE_RELEASE, ModelServer, Shots
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.few_shot import FewShotRules

__all__ = ["ArmPlan", "Progress", "measure_arms", "plan_arms"]

_WARM_UP = 8
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ArmPlan:
    """One arm: which release it asks, and with which worked examples."""

    arm: Arm
    release: str
    shots: Shots = ()


def plan_arms(
    server: ModelServer,
    codec: AnswerCodec,
    train: Rows,
    champion: str,
    candidate: str,
    *,
    few_shot: FewShotRules,
) -> tuple[list[ArmPlan], list[str]]:
    """Choose the arms and their worked examples; the notes say what cannot be measured."""
    arms = [ArmPlan("champion", champion), ArmPlan("candidate", candidate)]
    if champion != BASE_RELEASE:
        arms.append(ArmPlan("base", BASE_RELEASE))
    if few_shot.selection == "off":
        return arms, []
    plan = plan_shots(server, codec, train, few_shot)
    if plan.count:
        arms.append(ArmPlan("few_shot", BASE_RELEASE, plan.shots))
    return arms, [plan.note] if plan.note else []


def measure_arms(
    server: ModelServer,
    codec: AnswerCodec,
    suites: Mapping[Suite, Rows],
    arms: Sequence[ArmPlan],
    *,
    on_progress: Progress | None = None,
) -> list[CaseResult]:
    """Let every arm answer every suite, by turns, so that a slow minute meets all of them.

    When the champion is the base itself, its cases count for the arm ``base`` as well. Progress is
    told before each part, so that a slow one has its name while it runs, and at the end.
    """
    show = on_progress or (lambda *_: None)
    total = sum(map(len, suites.values())) * len(arms)
    done = 0
    cases: list[CaseResult] = []
    warm_up = [str(row["input"]) for rows in suites.values() for row in rows][:_WARM_UP]
    for plan in arms:
        show(f"first answers of {plan.arm}, not counted", 0, total)
        server.answer(plan.release, codec, warm_up, shots=plan.shots)
    for suite, chunk in _chunks(suites):
        for plan in arms:
            show(f"{plan.arm} on {suite}", done, total)
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
    show("all answers", done, total)
    if not any(plan.arm == "base" for plan in arms):
        cases += [replace(case, arm="base") for case in cases if case.arm == "champion"]
    return cases


def _chunks(suites: Mapping[Suite, Rows]) -> Iterator[tuple[Suite, Rows]]:
    for suite, rows in suites.items():
        for start in range(0, len(rows), PART_ANSWERS):
            yield suite, rows[start : start + PART_ANSWERS]

"""The arms of an evaluation: which release answers, with which worked examples, in which order."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flywheel.errors import DataError
from flywheel.evaluate.latency import PART_ANSWERS
from flywheel.evaluate.suites import Arm, CaseResult, Suite, choose_shots, evaluate_arm
from flywheel.ports.model_server import BASE_RELEASE, ModelServer, Shot
from flywheel.workload.answers import AnswerCodec

__all__ = ["ArmPlan", "Progress", "Rows", "measure_arms", "plan_arms"]

_WARM_UP = 8
Rows = Sequence[Mapping[str, Any]]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ArmPlan:
    """One arm: which release it asks, and with which worked examples."""

    arm: Arm
    release: str
    shots: tuple[Shot, ...] = ()


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
        for start in range(0, len(rows), PART_ANSWERS):
            yield suite, rows[start : start + PART_ANSWERS]

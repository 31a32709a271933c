"""`check_without_training`: whether worked examples alone already pass, before a GPU is bought."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.artifacts.actors import SYSTEM
from flywheel.artifacts.base_folder import BaseModel, writes_chats
from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.few_shot_finding import FewShotFinding
from flywheel.artifacts.snapshot import read_rows
from flywheel.errors import DataError, TrainingNotNeededError
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.few_shot import FewShotRules

if TYPE_CHECKING:
    from flywheel.ports.model_server import ModelServer, Shot
    from flywheel.state import Attempt, State
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = [
    "UntrainedExamples",
    "check_without_training",
    "offer_to_stop",
    "resolve_few_shot",
    "untrained_examples",
]

_SHARE_PER_NOTICE = 10
_BEFORE = "before training, worked examples alone"


@dataclass(frozen=True)
class UntrainedExamples:
    """What was found without training, and the worked examples of the newest snapshot.

    ``examples`` are inputs with their accepted answers, to be copied into ``prompt.examples``;
    empty where each question has its own.
    """

    workload_id: str
    cycle: str
    selection: str
    left_out: str | None
    finding: FewShotFinding | None
    examples: "tuple[Shot, ...]"


def resolve_few_shot(workload: "Workload", base: BaseModel) -> tuple[FewShotRules, str | None]:
    """Return the rules with ``auto`` decided for a base, and why the arm is left out, or None.

    ``auto`` leaves out a base without a chat template, which was not taught to follow examples, and
    one with label tokens of its own (tiny), which was built for single texts.
    """
    rules = workload.few_shot
    if rules.selection == "off":
        return rules, "few_shot was left out: few_shot.selection is off"
    if rules.selection != "auto":
        return rules, None
    why = None
    if base.surfaces or base.reserved:
        why = "was built for single texts and has tokens of its own for labels"
    elif not writes_chats(base.folder):
        why = "has no chat template"
    if why is None:
        return rules.model_copy(update={"selection": "labels"}), None
    note = (
        f"few_shot was left out: the base model {base.name} {why}; few_shot.selection: labels or "
        "similar measures it all the same"
    )
    return rules.model_copy(update={"selection": "off"}), note


def check_without_training(
    platform: "Platform", cycle: CycleRef, *, on_notice: Callable[[str], None] = lambda _: None
) -> FewShotFinding | None:
    """Measure worked examples before a cycle's training; call it before `train_candidate`.

    Returns:
        None where nothing was measured: the arm is left out, the training was done before, or a
        person asked to train all the same.

    Raises:
        TrainingNotNeededError: the examples pass and the workload asks to stop then; the cycle is
            stopped, and a retry trains.
    """
    from flywheel.usecases.cycle import codec_of

    workload = platform.state.cycles.get(cycle).opened.workload
    attempt = platform.state.cycles.attempt(cycle)
    rules, left_out = resolve_few_shot(workload, platform.base(workload))
    if left_out is not None or attempt.dataset is None or attempt.candidate is not None:
        return None
    return offer_to_stop(
        platform.state,
        lambda: platform.server(workload),
        attempt,
        codec_of(platform, workload),
        rules,
        on_notice=on_notice,
    )


def offer_to_stop(
    state: "State",
    server: "Callable[[], ModelServer]",
    attempt: "Attempt",
    codec: AnswerCodec,
    rules: FewShotRules,
    *,
    on_notice: Callable[[str], None] = lambda _: None,
) -> FewShotFinding | None:
    """Measure worked examples on an attempt's snapshot, once, and keep the finding with it.

    An attempt that a person asked for after such a finding trains: nothing is measured again.

    Args:
        state: holds the attempt.
        server: opens the server of the workload's base.
        attempt: whose training is about to begin; its dataset was built.
        codec: how answers are written for the base model.
        rules: as `resolve_few_shot` returns them.
        on_notice: told what is measured.

    Raises:
        TrainingNotNeededError: the examples pass and the workload asks to stop then; the cycle is
            stopped, and a retry trains.
    """
    if _was_offered(state, attempt):
        return None
    finding = attempt.few_shot
    champion = state.routes.champion(attempt.workload_id)
    assert attempt.dataset is not None
    is_current = finding is not None and (finding.dataset_hash, finding.champion) == (
        attempt.dataset.hash,
        champion,
    )
    if not is_current:
        on_notice(f"{_BEFORE}: loading the base model")
        opened = server()
        on_notice(f"{_BEFORE}: choosing examples that fit its context")
        finding = _measured(state, opened, attempt, codec, rules, on_notice)
    if finding is None:
        on_notice("no worked example fits the base model's context: few-shot was not measured")
        return None
    on_notice(finding.sentence)
    if finding.outcome == "pass" and rules.when_it_passes == "stop":
        _stop_with_offer(state, attempt, finding)
    return finding


def untrained_examples(platform: "Platform", cycle: CycleRef) -> UntrainedExamples:
    """Return what was found without training in a cycle, and its worked examples.

    Raises:
        NotFoundError: there is no such cycle.
        DataError: its dataset was not built yet.
    """
    from flywheel.evaluate.shots import choose_shots

    opened = platform.state.cycles.get(cycle).opened
    rules, left_out = resolve_few_shot(opened.workload, platform.base(opened.workload))
    found = [one for one in platform.state.attempts.of(cycle) if one.few_shot is not None]
    attempt = found[-1] if found else platform.state.cycles.attempt(cycle)
    if attempt.dataset is None:
        raise DataError(
            f"Cycle {cycle.name} of {cycle.workload_id} has no dataset yet.",
            next_step=f"run `flywheel cycle run {cycle.workload_id} {cycle.name} --step dataset`",
        )
    finding = attempt.few_shot
    count = finding.examples if finding is not None else rules.examples
    train = read_rows(attempt.dataset.folder, "train")
    fixed = rules.selection == "labels"
    shots = choose_shots(train, count=count, seed=opened.workload.seed) if fixed else ()
    return UntrainedExamples(
        cycle.workload_id, cycle.name, rules.selection, left_out, finding, shots
    )


def _measured(
    state: "State",
    server: "ModelServer",
    attempt: "Attempt",
    codec: AnswerCodec,
    rules: FewShotRules,
    on_notice: Callable[[str], None],
) -> FewShotFinding | None:
    from flywheel.evaluate.few_shot import measure_few_shot

    shown = -1

    def on_progress(what: str, done: int, total: int) -> None:
        nonlocal shown
        tenth = done * _SHARE_PER_NOTICE // total
        if tenth > shown or not done:
            shown = tenth
            on_notice(f"{_BEFORE}: {what}, {done} of {total}")

    finding = measure_few_shot(
        state,
        server,
        state.cycles.get(attempt.cycle_ref).opened,
        attempt=attempt,
        codec=codec,
        rules=rules,
        on_progress=on_progress,
    )
    if finding is not None:
        with state.transaction():
            state.attempts.record(attempt.cycle_ref, attempt.number, finding)
            facts = {"attempt": attempt.number, "finding": finding.sentence}
            state.audit.append("few_shot.measured", str(attempt.cycle_ref), SYSTEM, facts)
    return finding


def _was_offered(state: "State", attempt: "Attempt") -> bool:
    earlier = [one for one in state.attempts.of(attempt.cycle_ref) if one.number < attempt.number]
    return any(one.few_shot is not None and one.few_shot.outcome == "pass" for one in earlier)


def _stop_with_offer(state: "State", attempt: "Attempt", finding: FewShotFinding) -> None:
    cycle = attempt.cycle_ref
    message = f"Nothing was trained: {finding.sentence}"
    with state.transaction():
        if state.cycles.get(cycle).attempt == attempt.number:
            state.cycles.set_status(cycle, "stopped", message)
    raise TrainingNotNeededError(
        message,
        next_step=f"see the examples: `flywheel cycle few-shot {cycle.workload_id} {cycle.name}`; to "
        f"train all the same: `flywheel cycle retry {cycle.workload_id} {cycle.name} --as NAME "
        "--reason TEXT`",
        few_shot_right=finding.right,
        few_shot_cases=finding.cases,
    )

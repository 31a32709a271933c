"""Let one arm answer one suite and record of every case what was right.

A case is one row of a dataset snapshot. A server that fails is an error of the measurement and is
raised; only what a model did answer can be wrong.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from flywheel.artifacts.dataset_rows import LabeledRow
from flywheel.artifacts.snapshot import EvaluationSplit, FixedCase, read_fixed
from flywheel.errors import MeasurementError
from flywheel.evaluate.field_scores import FieldCounts, count_fields, value_key
from flywheel.evaluate.text_scores import TextScores, score_texts
from flywheel.ports.model_server import Answer, ModelServer, Shots
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.model import ExtractionTask, GenerationTask, Workload
from flywheel.workload.text_rules import RuleResult, check_rules

__all__ = ["Arm", "CaseResult", "Rows", "Suite", "evaluate_arm", "same_answer"]

Suite = EvaluationSplit | Literal["directed"]
Arm = Literal["base", "few_shot", "champion", "candidate"]
Rows = Sequence[LabeledRow]

_BATCH = 64


@dataclass(frozen=True)
class CaseResult:
    """What one arm answered to one case; labels are names, ``fields_correct`` is by field.

    ``field_counts`` are by the path of the field, at every depth of an extraction.

    ``scores`` and ``rules`` are those of a text, which is ``correct`` where it is as close to the
    accepted one as the task asks.

    ``fixed`` is the record of a case that promoted releases fixed, ``named`` a case that a person
    wants to hold; both are of the must-not-lose suite alone.
    """

    suite: str
    arm: str
    release: str
    inference_id: str
    label_id: str | None
    label: str | None
    predicted_label: str | None
    input: str
    expected: Any
    output: Any
    text: str
    correct: bool
    schema_valid: bool
    confidence: float | None
    seconds: float
    subject_id: str | None = None
    fields_correct: Mapping[str, bool] = field(default_factory=dict)
    field_counts: Mapping[str, FieldCounts] = field(default_factory=dict)
    fixed: FixedCase | None = None
    named: bool = False
    scores: TextScores | None = None
    rules: tuple[RuleResult, ...] = ()


def evaluate_arm(  # noqa: PLR0913 - names what is measured
    server: ModelServer,
    codec: AnswerCodec,
    rows: Rows,
    *,
    suite: Suite,
    arm: Arm,
    release: str,
    shots: Shots = (),
    on_progress: Callable[[int, int], None] | None = None,
) -> list[CaseResult]:
    """Answer every row with one release and compare with what people accepted.

    Args:
        server: has the release loaded.
        codec: how answers are written for the base model.
        rows: rows of a snapshot: ``inference_id``, ``input``, ``output``, ``label_id``.
        suite: which split the rows are.
        arm: in which part the release stands here.
        release: name on the server.
        shots: worked examples for the arm ``few_shot``.
        on_progress: told how many cases of how many are done, after each batch.

    Raises:
        MeasurementError: the server answered another number of cases than it was asked, or a
            invalid confidence or time.
        UnavailableError: the server is away; nothing is counted.
    """
    cases: list[CaseResult] = []
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        answers = server.answer(release, codec, [str(row["input"]) for row in batch], shots=shots)
        if len(answers) != len(batch):
            raise MeasurementError(
                f"{release} gave {len(answers)} answers to {len(batch)} cases of {suite}.",
                next_step="look at the model server, then run the gate again",
            )
        scores = _text_scores(codec.workload, batch, answers)
        for row, answer, score in zip(batch, answers, scores, strict=True):
            case = _judge(codec, row, answer, suite=suite, arm=arm, release=release)
            cases.append(case if score is None else _judge_text(codec.workload, case, score))
        if on_progress is not None:
            on_progress(len(cases), len(rows))
    return cases


def same_answer(one: Any, other: Any) -> bool:
    """Compare two parsed answers as JSON values: key order does not count, 1 is 1.0, not true."""
    return value_key(one) == value_key(other)


def _judge(
    codec: AnswerCodec,
    row: LabeledRow,
    answer: Answer,
    *,
    suite: str,
    arm: str,
    release: str,
) -> CaseResult:
    _check_numbers(answer, release)
    expected, output = row["output"], answer.output
    valid = answer.error is None and output is not None
    return CaseResult(
        suite=suite,
        arm=arm,
        release=release,
        inference_id=str(row["inference_id"]),
        label_id=row.get("label_id"),
        label=codec.workload.label_of(expected),
        predicted_label=codec.workload.label_of(output) if valid else None,
        input=str(row["input"]),
        expected=expected,
        output=output,
        text=answer.text,
        correct=valid and same_answer(output, expected),
        schema_valid=valid,
        confidence=answer.confidence,
        seconds=answer.seconds,
        subject_id=row.get("subject_id"),
        fields_correct=_by_field(expected, output if valid else None),
        field_counts=_counts(codec.workload, expected, output if valid else None),
        fixed=read_fixed(row) if suite == "must_not_lose" else None,
        named=bool(row.get("named")),
    )


def _text_scores(
    workload: Workload, rows: Rows, answers: Sequence[Answer]
) -> Sequence[TextScores | None]:
    if not isinstance(workload.task, GenerationTask):
        return [None] * len(rows)
    texts = [None if answer.error is not None else answer.output for answer in answers]
    accepted = [str(row["output"]) for row in rows]
    return score_texts(accepted, texts, decisive=workload.task.score)


def _judge_text(workload: Workload, case: CaseResult, scores: TextScores) -> CaseResult:
    assert isinstance(workload.task, GenerationTask)  # it alone has scores
    rules = check_rules(
        workload.task.rules,
        input_text=case.input,
        text=case.output if case.schema_valid else case.text,
        accepted=str(case.expected),
    )
    correct = case.schema_valid and workload.form.alike(case.output, case.expected)
    return replace(case, scores=scores, rules=tuple(rules), correct=correct)


def _counts(workload: Workload, expected: Any, output: Any) -> dict[str, FieldCounts]:
    if not isinstance(workload.task, ExtractionTask):
        return {}
    task = workload.task
    return count_fields(task.json_schema, expected, output, task.item_keys)


def _by_field(expected: Any, output: Any) -> dict[str, bool]:
    if not isinstance(expected, Mapping):
        return {}
    fields = output if isinstance(output, Mapping) else {}
    return {
        key: key in fields and same_answer(fields[key], value) for key, value in expected.items()
    }


def _check_numbers(answer: Answer, release: str) -> None:
    if not 0 <= answer.confidence <= 1 or not (
        math.isfinite(answer.seconds) and answer.seconds >= 0
    ):
        raise MeasurementError(
            f"{release} answered with confidence {answer.confidence} in {answer.seconds} seconds.",
            next_step="look at the model server: a confidence is in [0, 1]",
        )

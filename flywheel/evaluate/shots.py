"""`plan_shots`: the worked examples of the arm ``few_shot``, from training rows alone.

They are the same for every question (`choose_shots`), or those of its nearest training rows
(`SimilarShots`).
"""

import random
from collections.abc import Iterator, Sequence

import numpy as np

from flywheel.artifacts.dataset_rows import LabeledRow
from flywheel.errors import DataError
from flywheel.evaluate.suites import Rows
from flywheel.ports.model_server import BASE_RELEASE, ModelServer, Shot, Shots
from flywheel.similarity.sentence_vectors import encode_sentences
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.few_shot import FewShotRules

__all__ = ["ShotPlan", "SimilarShots", "choose_shots", "plan_shots"]


def choose_shots(rows: Rows, *, count: int, seed: int) -> tuple[Shot, ...]:
    """Pick worked examples from training rows, as many different labels as there is room for."""
    shuffled = _ordered(rows)
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - reproducible by seed, no secret
    used_keys: set[object] = set()
    fresh: list[LabeledRow] = []
    again: list[LabeledRow] = []
    for row in shuffled:
        (again if row.get("label_id") in used_keys else fresh).append(row)
        used_keys.add(row.get("label_id"))
    return tuple(map(_shot, [*fresh, *again][:count]))


class SimilarShots:
    """Choose the training rows nearest to a question by sentence vectors, the nearest one last.

    A text that repeats a question is as good an example as any other: the guards of the dataset
    keep those of evaluation cases out of the training rows.

    Source: Liu et al. (2022), What makes good in-context examples for GPT-3?, DeeLIO.
    """

    def __init__(self, rows: Rows, count: int) -> None:
        self._shots = [_shot(row) for row in _ordered(rows)]
        self._vectors = encode_sentences([shot.input for shot in self._shots])
        self._count = count

    def __call__(self, question: str) -> tuple[Shot, ...]:
        """Return the examples of one question."""
        closeness = np.round(self._vectors @ encode_sentences([question])[0], 4)
        nearest = np.argsort(-closeness, kind="stable")[: self._count]
        return tuple(self._shots[index] for index in reversed(nearest))


class ShotPlan:
    """The worked examples that fit the base's context: ``shots`` and their number.

    ``note`` says what a reader must know: that there are fewer than asked for, or none, and why.
    """

    def __init__(self, shots: Shots, count: int, note: str | None = None) -> None:
        self.shots = shots
        self.count = count
        self.note = note


def plan_shots(
    server: ModelServer, codec: AnswerCodec, train: Rows, rules: FewShotRules
) -> ShotPlan:
    """Choose worked examples; they are halved until they fit the context of the base model.

    ``rules.selection`` is one of ``labels`` and ``similar`` here.
    """
    longest = sorted((str(row["input"]) for row in train), key=len)[-1:]
    for count, shots, fullest in _choices(train, rules, codec.workload.seed):
        try:
            server.answer(BASE_RELEASE, codec, longest, shots=fullest)
        except DataError:
            continue
        note = None
        if count < min(rules.examples, len(train)):
            note = f"few_shot has {count} of {rules.examples} worked examples: no more fit"
        return ShotPlan(shots, count, note)
    return ShotPlan(
        (), 0, "few_shot was not measured: no worked example fits the base model's context"
    )


def _choices(
    train: Rows, rules: FewShotRules, seed: int
) -> Iterator[tuple[int, Shots, Sequence[Shot]]]:
    # The number of examples, what chooses them, and the longest of them that a question may get.
    count = min(rules.examples, len(train))
    fixed = choose_shots(train, count=count, seed=seed)
    longest = sorted(train, key=lambda row: (len(str(row["input"])), str(row["inference_id"])))
    while count:
        if rules.selection == "similar":
            yield count, SimilarShots(train, count), [_shot(row) for row in longest[-count:]]
        else:
            yield count, fixed[:count], fixed[:count]
        count //= 2


def _ordered(rows: Rows) -> list[LabeledRow]:
    return sorted(rows, key=lambda row: str(row["inference_id"]))


def _shot(row: LabeledRow) -> Shot:
    return Shot(str(row["input"]), row["output"])

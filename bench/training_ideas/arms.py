"""`ARMS`: the plain recipe and each idea, as trainings that differ in one thing.

An arm may cost more than the plain recipe; its `reference` then names the arm without the idea that
has at least as much time.
"""

from dataclasses import dataclass

__all__ = ["ARMS", "AVERAGES", "IDEAS", "Arm"]

AVERAGES = ("mean of factors", "mean of products", "moving average")


@dataclass(frozen=True)
class Arm:
    """One training.

    Attributes:
        lengthened: the epochs of the recipe are multiplied by it.
        dropout: before the LoRA matrices.
        smoothing: part of the target that is spread over other tokens (Szegedy 2016).
        among_answers: it is spread over the tokens that answers of the task begin with, not over
            the whole vocabulary.
        agreement: weight of the divergence between two passes with dropout (R-Drop, Liang 2021).
        constant_rate: the learning rate stays as it is after the warm-up.
        unlabeled_steps: next-token steps on unlabeled text before, as a share of those on labels
            (Gururangan 2020).
        averaged: its weights are averaged along the way too, at no cost of another training.
        reference: the arm that has as much time, where ``plain`` has less.
    """

    lengthened: int = 1
    dropout: float = 0.0
    smoothing: float = 0.0
    among_answers: bool = False
    agreement: float = 0.0
    constant_rate: bool = False
    unlabeled_steps: float = 0.0
    averaged: bool = False
    reference: str = "plain"


_TWICE = "plain, twice the steps"
ARMS = {
    "plain": Arm(averaged=True),
    "label smoothing among answers": Arm(smoothing=0.1, among_answers=True),
    "constant rate": Arm(constant_rate=True, averaged=True),
    "R-Drop": Arm(dropout=0.1, agreement=1.0, reference=_TWICE),
    _TWICE: Arm(lengthened=2),
    "pre-training on text": Arm(unlabeled_steps=1.0, reference=_TWICE),
    "label smoothing": Arm(smoothing=0.1),
    "dropout": Arm(dropout=0.1),
}
IDEAS = {
    "averaging": ("plain", "constant rate"),
    "smoothing": ("plain", "label smoothing", "label smoothing among answers"),
    "agreement": ("plain", "R-Drop", _TWICE, "dropout"),
    "pretraining": ("plain", _TWICE, "pre-training on text"),
    "all": tuple(ARMS),
}

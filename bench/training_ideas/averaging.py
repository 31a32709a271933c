"""`Averager`: weights of an adapter along one training, averaged in three ways; `record` attaches one to a trainer.

- ``mean of factors``: the matrices A and B of the last checkpoints, each averaged on its own
  (Izmailov et al. 2018, Averaging weights leads to wider optima and better generalization, UAI).
  This is not the mean of the updates that the checkpoints stand for.
- ``mean of products``: the mean of the updates B A, of rank k times r, cut back to rank r by its
  singular values (Eckart and Young 1936).
- ``moving average``: exponential, of A and B, with a horizon of a tenth of the steps (Polyak and
  Juditsky 1992; Tarvainen and Valpola 2017).
"""

from collections.abc import Sequence
from typing import Any

from bench.training_ideas.arms import AVERAGES

__all__ = ["Averager", "mean_of_factors", "mean_of_products", "record"]

_SHARES = (0.8, 0.85, 0.9, 0.95, 1.0)
_HORIZON = 0.1
Weights = dict[str, Any]


class Averager:
    """Collects the weights after every step of a training of ``steps`` steps."""

    def __init__(self, steps: int) -> None:
        self._at = {round(share * steps) for share in _SHARES}
        self._keep = 1 - 1 / max(2.0, _HORIZON * steps)
        self._checkpoints: list[Weights] = []
        self._moving: Weights = {}

    def add(self, step: int, weights: Weights) -> None:
        """Add the weights after a step, counted from 1."""
        if not self._moving:
            self._moving = {name: value.clone() for name, value in weights.items()}
        for name, value in weights.items():
            self._moving[name].lerp_(value, 1 - self._keep)
        if step in self._at:
            self._checkpoints.append({name: value.clone() for name, value in weights.items()})

    def averages(self) -> dict[str, Weights]:
        """Return the averaged weights by the name of the way."""
        ways = (mean_of_factors(self._checkpoints), mean_of_products(self._checkpoints))
        return dict(zip(AVERAGES, (*ways, self._moving), strict=True))


def mean_of_factors(checkpoints: Sequence[Weights]) -> Weights:
    """Average every matrix on its own."""
    return {
        name: sum(weights[name] for weights in checkpoints) / len(checkpoints)
        for name in checkpoints[0]
    }


def mean_of_products(checkpoints: Sequence[Weights]) -> Weights:
    """Average the updates B A, and return the nearest update of the same rank as its factors."""
    import torch

    factors: Weights = {}
    for name in checkpoints[0]:
        if ".lora_A." not in name:
            continue
        other = name.replace(".lora_A.", ".lora_B.")
        rank = len(checkpoints[0][name])
        # The mean of the products is one product of the matrices side by side.
        tall = torch.cat([weights[other] for weights in checkpoints], dim=1) / len(checkpoints)
        wide = torch.cat([weights[name] for weights in checkpoints], dim=0)
        q_tall, r_tall = torch.linalg.qr(tall)
        q_wide, r_wide = torch.linalg.qr(wide.T)
        left, values, right = torch.linalg.svd(r_tall @ r_wide.T)
        roots = values[:rank].sqrt()
        factors[other] = (q_tall @ left[:, :rank]) * roots
        factors[name] = roots[:, None] * (right[:rank] @ q_wide.T)
    return factors


def record(trainer: Any, averager: Averager) -> None:
    """Let an averager see the adapter of a trainer after every step."""
    from transformers import TrainerCallback

    weights = {
        name: value for name, value in trainer.model.named_parameters() if value.requires_grad
    }

    class Recording(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            averager.add(
                state.global_step, {name: value.detach() for name, value in weights.items()}
            )

    trainer.add_callback(Recording())

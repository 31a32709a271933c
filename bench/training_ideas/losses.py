"""Losses that replace the trainer's own: `smooth` and `agree` change a trainer in place."""

from collections.abc import Sequence
from typing import Any

from flywheel.train.rows import IGNORED

__all__ = ["agree", "smooth"]


def smooth(trainer: Any, share: float, *, answers: Sequence[int] | None = None) -> None:
    """Spread a share of every target over the vocabulary, or over the tokens ``answers``.

    With ``answers`` only positions whose target is one of them are smoothed.

    Source: Szegedy et al. (2016), Rethinking the inception architecture for computer vision, CVPR.
    """
    import torch

    plain = trainer.compute_loss

    def compute_loss(
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,  # noqa: FBT001, FBT002 - the library's signature
        num_items_in_batch: Any = None,
    ) -> Any:
        _, outputs = plain(model, inputs, True, num_items_in_batch)
        targets = inputs["labels"][:, 1:]
        targets = targets[targets != IGNORED]
        scores = torch.log_softmax(outputs["logits"], dim=-1)
        right = scores.gather(1, targets[:, None])[:, 0]
        if answers is None:
            blurred = (1 - share) * right + share * scores.mean(dim=-1)
        else:
            among = torch.tensor(answers)
            mixed = (1 - share) * right + share * scores[:, among].mean(dim=-1)
            blurred = torch.where(torch.isin(targets, among), mixed, right)
        loss = -blurred.sum() / _count(outputs, num_items_in_batch)
        return (loss, outputs) if return_outputs else loss

    trainer.compute_loss = compute_loss


def agree(trainer: Any, weight: float) -> None:
    """Take two passes with dropout, and add the divergence between their answers.

    Source: Liang et al. (2021), R-Drop: Regularized dropout for neural networks, NeurIPS.
    """
    import torch

    plain = trainer.compute_loss
    divergence = torch.nn.functional.kl_div

    def compute_loss(
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,  # noqa: FBT001, FBT002 - the library's signature
        num_items_in_batch: Any = None,
    ) -> Any:
        one, outputs = plain(model, inputs, True, num_items_in_batch)
        other, again = plain(model, inputs, True, num_items_in_batch)
        p, q = (torch.log_softmax(part["logits"], dim=-1) for part in (outputs, again))
        both = divergence(p, q, reduction="sum", log_target=True)
        both = (both + divergence(q, p, reduction="sum", log_target=True)) / 2
        loss = (one + other) / 2 + weight * both / _count(outputs, num_items_in_batch)
        return (loss, outputs) if return_outputs else loss

    trainer.compute_loss = compute_loss


def _count(outputs: dict[str, Any], number: Any) -> Any:
    return len(outputs["logits"]) if number is None else number

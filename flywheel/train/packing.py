"""Whether packed rows really do not see each other: asked of the model itself, before training.

An attention that ignores where a packed row begins trains on neighbors' texts without any error.
"""

from collections.abc import Sequence
from typing import Any

__all__ = ["rows_are_isolated"]

_ROUNDING = 1e-3


def rows_are_isolated(trainer: Any, rows: Sequence[Sequence[int]]) -> bool:
    """Return whether a row's hidden states stay the same when the row before it is another.

    The batches are made by the trainer's own collator, so that what is asked is what is trained.
    """
    import torch

    first, second = list(rows[0]), list(rows[-1])
    other = list(reversed(first))
    if first == other:
        other = [*second, *first][: len(first)]
    model = trainer.model
    # On a CPU, bitsandbytes turns the weights of a model that is not in training into another
    # format at its first use, for good.
    model.train()
    states = []
    for before in (first, other):
        batch = trainer.data_collator(
            [{"input_ids": ids, "labels": ids} for ids in (before, second)]
        )
        packed_batch = {
            name: value.to(model.device) if hasattr(value, "to") else value
            for name, value in batch.items()
            if name != "labels"
        }
        with torch.no_grad(), trainer.accelerator.autocast():
            hidden = model.get_base_model().model(**packed_batch, use_cache=False).last_hidden_state
        states.append(hidden[0, len(first) :].float())
    allowed = _ROUNDING * states[0].abs().max()
    return bool((states[0] - states[1]).abs().max() <= allowed)

"""TRL's SFTTrainer with a loss that looks at the completion alone.

A completion is a few tokens at the end of a prompt. TRL projects every position onto the
vocabulary, the prompt's too, which took three quarters of a step on a CPU; here only the positions
that the loss looks at are projected. The loss is the same.
"""

from typing import Any

from flywheel.artifacts.output_scores import output_scores
from flywheel.train.data_parallel import Batch, data_parallel
from flywheel.train.rows import IGNORED

__all__ = ["completion_trainer"]


def completion_trainer(*, workers: int = 1, **arguments: Any) -> Any:
    """Build the trainer, one of ``workers``; ``arguments`` are SFTTrainer's.

    ``tokens_seen`` on it counts what went through the model, padding left out.
    """
    import torch
    from trl.trainer.sft_trainer import SFTTrainer

    class CompletionTrainer(SFTTrainer):
        tokens_seen: Any = 0

        def compute_loss(
            self,
            model: Any,
            inputs: dict[str, Any],
            return_outputs: bool = False,  # noqa: FBT001, FBT002 - the library's signature
            num_items_in_batch: Any = None,
        ) -> Any:
            mask = inputs.get("attention_mask")
            self.tokens_seen += inputs["input_ids"].numel() if mask is None else mask.sum()
            total, logits = _summed_loss(model.get_base_model(), inputs)
            count = len(logits) if num_items_in_batch is None else num_items_in_batch
            loss = total / torch.as_tensor(count).clamp(min=1)
            return (loss, {"logits": logits}) if return_outputs else loss

    if workers > 1:
        return data_parallel(CompletionTrainer, lambda *batch: _summed_loss(*batch)[0])(**arguments)
    return CompletionTrainer(**arguments)


def _summed_loss(causal: Any, inputs: Batch) -> tuple[Any, Any]:
    # The sum over the positions that the loss looks at, and their scores.
    import torch

    # A packed batch is one line: its rows are separated by positions and lengths, which
    # the attention needs, and it has no mask.
    model_inputs = {name: value for name, value in inputs.items() if name != "labels"}
    targets = inputs["labels"][:, 1:]
    looked_at = targets != IGNORED
    hidden = causal.model(**model_inputs, use_cache=False).last_hidden_state[:, :-1]
    logits = output_scores(causal.config, causal.lm_head(hidden[looked_at]).float())
    total = torch.nn.functional.cross_entropy(logits, targets[looked_at], reduction="sum")
    return total, logits

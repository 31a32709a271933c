"""`data_parallel`: a trainer whose workers each take a share of every batch.

The rows of a batch, their order and the sum of the loss are those of one worker: a row is seen by
exactly one worker, and an adapter learns the same, up to the rounding of sums. PyTorch's
DistributedDataParallel adds the gradients.
"""

from collections.abc import Callable, Sequence
from typing import Any

from flywheel.train.rows import IGNORED

__all__ = ["Batch", "Share", "data_parallel", "is_first_worker", "stop_if_any"]

# Tensors, or lists of a row, by their names in transformers.
Batch = dict[str, Any]


def is_first_worker() -> bool:
    """Return whether this process is the one that writes: rank 0, or the only one."""
    import torch

    return not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0


class Share:
    """A collator that makes a batch of one worker's rows out of the rows of all workers.

    A batch smaller than the number of workers leaves some without a row: those compute one whose
    labels are all ignored, since every worker has to take part in every step.

    Args:
        collate: the collator of a batch.
        rank: number of this worker, from 0.
        workers: how many there are.
    """

    def __init__(self, collate: Callable[[Sequence[Any]], Batch], rank: int, workers: int) -> None:
        self._collate, self._rank, self._workers = collate, rank, workers

    def __call__(self, rows: Sequence[Batch]) -> Batch:
        """Return the batch of this worker, with the tokens of all rows as ``tokens``."""
        import torch

        own = self.of(rows)
        batch = self._collate(own)
        tokens = sum(len(row["input_ids"]) for row in rows)
        return {**batch, "tokens": torch.tensor(tokens)}

    def of(self, rows: Sequence[Batch]) -> list[Batch]:
        """Return this worker's rows of a batch."""
        own = list(rows[self._rank :: self._workers])
        return own or [{**rows[0], "labels": [IGNORED] * len(rows[0]["labels"])}]


def data_parallel(trainer_class: type, loss_of: Callable[[Any, Batch], Any]) -> type:
    """Return the trainer class with its batches and its loss divided among all workers.

    Args:
        trainer_class: a subclass of transformers' Trainer.
        loss_of: sum of the loss over a batch, from the causal model and the batch.
    """
    import torch

    class DataParallelTrainer(trainer_class):  # type: ignore[misc]
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            causal = self.model.get_base_model()
            # DistributedDataParallel adds the gradients of what its module's forward computed.
            self.model.forward = lambda **inputs: loss_of(causal, inputs)

        def get_train_dataloader(self) -> Any:
            from accelerate.data_loader import prepare_data_loader

            args, share = self.args, Share(self.data_collator, self.args.process_index, self._count)
            loader = torch.utils.data.DataLoader(
                self.train_dataset,
                batch_size=args.per_device_train_batch_size,
                sampler=self._get_train_sampler(),
                collate_fn=share,
                pin_memory=args.dataloader_pin_memory,
            )
            # As for one process: the share is taken out of each batch, and no row is repeated.
            return prepare_data_loader(
                loader,
                args.device,
                num_processes=1,
                process_index=0,
                put_on_device=True,
                use_seedable_sampler=True,
                data_seed=args.data_seed,
            )

        def compute_loss(
            self,
            model: Any,
            inputs: dict[str, Any],
            return_outputs: bool = False,  # noqa: FBT001, FBT002 - the library's signature
            num_items_in_batch: Any = None,
        ) -> Any:
            # Outputs are asked for in evaluations, of which a trainer of many has none.
            assert not return_outputs
            self.tokens_seen += inputs.pop("tokens")
            own = model(**inputs) / torch.as_tensor(num_items_in_batch).clamp(min=1)
            everybody = own.detach().clone()
            torch.distributed.all_reduce(everybody)
            # The gradients are averaged over the workers, and are to be those of the sum; the
            # value is that of all rows, so that every worker logs the same.
            return own * self._count + (everybody - own.detach() * self._count)

        @property
        def _count(self) -> int:
            return int(self.args.world_size)

    return DataParallelTrainer


def stop_if_any(device: Any, *, stopped: bool) -> bool:
    """Return whether any worker was asked to stop, so that all stop after the same step."""
    import torch

    if not torch.distributed.is_initialized() or torch.distributed.get_world_size() == 1:
        return stopped
    flag = torch.tensor(int(stopped), device=device)
    torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
    return bool(flag)

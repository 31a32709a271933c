"""`skip_bookkeeping`: a trainer without the reports of its libraries that nothing here reads.

TRL and PEFT each write a model card beside every checkpoint, and transformers estimates the floating
point operations of every step: half of the CPU time of a checkpoint, and a twentieth of a small
base's steps. Flywheel writes a model card of its own for what is released (`flywheel.release.model_card`),
and an adapter never holds these figures.
"""

from typing import Any

__all__ = ["skip_bookkeeping"]


def skip_bookkeeping(trainer: Any) -> None:
    """Let a trainer of TRL's write no model cards and count no operations; weights are unaffected."""
    trainer.create_model_card = _write_nothing
    trainer.model.create_or_update_model_card = _write_nothing
    trainer.floating_point_ops = _count_nothing


def _write_nothing(*_: Any, **__: Any) -> None:
    return None


def _count_nothing(_: Any) -> int:
    return 0

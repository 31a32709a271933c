"""`doubted_first`: answers that a second opinion doubts come before others of their kind.

Which items are asked is not touched, and neither is what people judge blind: the control slice would
be biased, and its order tells nothing.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from flywheel.ports.review_queue import ReviewItem

__all__ = ["DOUBTED", "Doubts", "doubted_first"]

Doubts = Callable[[Sequence[ReviewItem]], Collection[str]]
"""Items of a batch -> the inference ids of those whose answers are doubted."""

DOUBTED = "a model that checks answers doubts this one"
# Uncertain and novel items have 1 to 2, flagged ones 2 to 3, blind ones more.
_STEP, _MOST = 1.0, 2.9999


def doubted_first(items: Sequence[ReviewItem], doubts: Doubts) -> list[ReviewItem]:
    """Return a batch's items, most urgent first, with the doubted ones raised and marked.

    An uncertain or novel item comes among the complaints, a complaint before all others.

    Args:
        items: as `choose_items` returns them.
        doubts: asked once, about the items whose answers people are shown.
    """
    shown = [item for item in items if item.model_output is not None and not item.measures]
    doubted = set(doubts(shown)) & {item.inference_id for item in shown}
    raised = [_raised(item) if item.inference_id in doubted else item for item in items]
    return sorted(raised, key=lambda item: (-item.priority, item.item_id))


def _raised(item: ReviewItem) -> ReviewItem:
    priority = max(item.priority, min(_MOST, item.priority + _STEP))
    return replace(item, priority=priority, reason=f"{item.reason}; {DOUBTED}")

"""`Conversations`: which examples come from one conversation, so that none is on both sides.

A call in the middle of a conversation and one at its end hold the same words, yet are no
near-duplicates. They are known by the conversation's id, or by the turns that they share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flywheel.dataset.examples import Example
from flywheel.lake.store import Lake
from flywheel.similarity.conversations import same_conversations
from flywheel.workload.model import Workload

__all__ = ["Conversations", "read_conversations"]

_IDS = """
SELECT DISTINCT inference_id, client_id, conversation_id FROM inferences
WHERE workload_id = $workload AND conversation_id IS NOT NULL AND inference_id IN (
  SELECT inference_id FROM latest_corrections WHERE workload_id = $workload)
"""


@dataclass(frozen=True)
class Conversations:
    """What is known of the conversations of a workload; nothing where its input is one message.

    ``ids`` are those of conversations by inference id.
    """

    are_inputs: bool = False
    ids: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def shared(self, examples: Sequence[Example], evaluation: Sequence[Example]) -> set[str]:
        """Return the correction ids of the examples whose conversation is also in ``evaluation``."""
        if not self.are_inputs:
            return set()
        ids = {self.ids.get(example.inference_id) for example in evaluation} - {None}
        same = same_conversations([e.input for e in examples], [e.input for e in evaluation])
        return {
            example.correction_id
            for example, is_same in zip(examples, same, strict=True)
            if is_same or self.ids.get(example.inference_id) in ids
        }


def read_conversations(lake: Lake, workload: Workload) -> Conversations:
    """Read the ids of the conversations that people judged."""
    if workload.input != "conversation":
        return Conversations()
    rows = lake.rows(_IDS, {"workload": workload.id})
    ids = {row["inference_id"]: (row["client_id"], row["conversation_id"]) for row in rows}
    return Conversations(are_inputs=True, ids=ids)

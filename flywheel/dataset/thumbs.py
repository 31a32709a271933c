"""Which thumbs of people become rows of KTO: the model's own answer, wanted or not wanted.

An answer is no label here: it is neither trained on as right nor counted as accepted. What keeps
evaluation cases out of the training rows keeps them out of these as well.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from flywheel.dataset.assembly import Assembly, Earlier, leaks
from flywheel.dataset.conversations import Conversations
from flywheel.dataset.examples import Example, Excluded
from flywheel.dataset.preference import Disputes, Preference
from flywheel.io.records import Row
from flywheel.lake.store import Lake
from flywheel.similarity.normal_form import input_hash
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import PreferenceRecipe, Workload

__all__ = ["Thumb", "choose_method", "choose_thumbs", "read_thumbs"]

# The newest thumb of an answer counts.
_THUMBS = """
WITH given AS (
  SELECT inference_id, arg_max(value, ("timestamp", feedback_id)) AS value,
         arg_max(feedback_id, ("timestamp", feedback_id)) AS feedback_id
  FROM feedback
  WHERE workload_id = $workload AND kind = 'boolean' AND value IN ('true', 'false')
  GROUP BY inference_id
)
SELECT inference_id, feedback_id, value = 'true' AS wanted, input, output, subject_id,
       "timestamp" AS event_time
FROM answered_inferences JOIN given USING (inference_id)
WHERE workload_id = $workload AND error IS NULL AND input IS NOT NULL AND output IS NOT NULL
ORDER BY inference_id
"""


@dataclass(frozen=True)
class Thumb:
    """An answer of production with a person's thumb; ``usable`` is whether it may be answered now."""

    example: Example
    wanted: bool
    usable: bool


def read_thumbs(lake: Lake, workload_id: str, mapping: AnswerMapping, hash_key: str) -> list[Thumb]:
    """Read every answer that has a thumb, in the labels of the present taxonomy."""
    return [_thumb(mapping, row, hash_key) for row in lake.rows(_THUMBS, {"workload": workload_id})]


def choose_thumbs(
    workload: Workload,
    thumbs: Sequence[Thumb],
    accepted: Sequence[Example],
    assembly: Assembly,
    earlier: Earlier,
    disputes: Disputes,
    conversations: Conversations,
) -> Preference:
    """Choose the thumbs that may be trained on; the others keep their reason.

    Args:
        workload: its near-duplicate threshold decides.
        thumbs: as `read_thumbs` returns them.
        accepted: every accepted correction: a person said more of those answers than a thumb.
        assembly: the splits of this snapshot.
        earlier: evaluation sets of earlier snapshots, as far as they are in force.
        disputes: what people disagreed about.
        conversations: which answers come from one conversation.
    """
    corrected = {example.inference_id for example in accepted}
    leaked = leaks(
        [thumb.example for thumb in thumbs],
        assembly,
        earlier,
        workload.review.near_duplicate,
        conversations,
    )
    verdicts: dict[tuple[str, str], set[bool]] = defaultdict(set)
    for thumb in thumbs:
        verdicts[thumb.example.input_hash, thumb.example.key].add(thumb.wanted)
    chosen: dict[str, bool] = {}
    rows: list[Example] = []
    excluded: list[Excluded] = []
    taken: set[tuple[str, str]] = set()
    for thumb in thumbs:
        one = thumb.example
        answer = one.input_hash, one.key
        reasons = {
            "not_an_answer": not thumb.usable,
            "corrected": one.inference_id in corrected,
            "disputed": one.inference_id in disputes.inference_ids
            or one.input_hash in disputes.input_hashes,
            "leakage": one.correction_id in leaked,
            "conflict": len(verdicts[answer]) > 1,
            "duplicate": answer in taken,
        }
        reason = next((name for name, holds in reasons.items() if holds), None)
        if reason is not None:
            excluded.append(Excluded(one, reason))
            continue
        taken.add(answer)
        rows.append(one)
        chosen[one.correction_id] = thumb.wanted
    return Preference(pairs=rows, excluded=excluded, thumbs=chosen)


def choose_method(recipe: PreferenceRecipe, pairs: Preference, thumbs: Preference) -> Preference:
    """Return what the second stage learns from: pairs (DPO), or thumbs (KTO).

    ``auto`` takes pairs where there are enough of them, since a correction says what is right; thumbs
    need both kinds, and where neither suffices the pairs are returned and the stage is left out.
    """
    if recipe.method == "kto":
        return thumbs
    enough = recipe.has_enough_thumbs(thumbs.thumbs.values())
    if recipe.method == "auto" and len(pairs.pairs) < recipe.minimum_pairs and enough:
        return thumbs
    return pairs


def _thumb(mapping: AnswerMapping, row: Row, hash_key: str) -> Thumb:
    output = json.loads(row["output"])
    present = mapping.present(output)
    example = Example(
        inference_id=row["inference_id"],
        correction_id=row["feedback_id"],
        input=row["input"],
        output=present.output,
        label_id=present.label_id,
        key=mapping.key(output),
        input_hash=input_hash(row["input"], hash_key),
        slice="thumb",
        subject_id=row["subject_id"],
        event_time=row["event_time"],
    )
    return Thumb(example, wanted=bool(row["wanted"]), usable=present.usable)

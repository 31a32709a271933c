"""Similar inputs that people answered before, shown to an annotator beside an item.

Answers of the control slice, of evaluation sets and of gold items are never shown: they stay unseen
until they are measured with.
"""

import json
from collections.abc import Sequence

from flywheel.artifacts.snapshot import EVALUATION_SPLITS
from flywheel.lake.store import Lake
from flywheel.ports.review_queue import ReviewItem
from flywheel.review.queues.label_studio_format import answer_line
from flywheel.review.sampling.neighbor_lines import neighbor_line
from flywheel.similarity.sentence_vectors import encode_sentences, similarity_to
from flywheel.workload.model import Workload

__all__ = ["neighbor_lines"]

_SHOWN, _SIMILAR = 3, 0.5
# The newest are enough to choose from, and are read in the blink of an eye.
_ANSWERED = """
SELECT input, output FROM latest_corrections
WHERE workload_id = $workload AND status = 'accepted' AND input IS NOT NULL
  AND coalesce(slice, '') NOT IN ('control', 'directed')
  AND coalesce(inference_id, '') NOT IN (
    SELECT inference_id FROM review_items WHERE workload_id = $workload AND slice = 'gold')
  AND correction_id NOT IN (
    SELECT correction_id FROM dataset_rows
    WHERE workload_id = $workload AND list_contains($measured, split)
      AND correction_id IS NOT NULL)
ORDER BY accepted_at DESC, correction_id LIMIT 5000
"""


def neighbor_lines(
    lake: Lake, workload: Workload, items: Sequence[ReviewItem]
) -> dict[str, list[str]]:
    """Return a few lines per item id; none for what is judged blind or decides a dispute."""
    open_ = [item for item in items if not item.measures and item.slice != "adjudication"]
    parameters = {"workload": workload.id, "measured": list(EVALUATION_SPLITS)}
    rows = lake.rows(_ANSWERED, parameters) if open_ else []
    if not rows:
        return {}
    references = encode_sentences([row["input"] for row in rows])
    lines = {}
    for item, vector in zip(open_, encode_sentences([i.input for i in open_]), strict=True):
        similarity = similarity_to(references, vector)
        nearest = similarity.argsort(kind="stable")[::-1][:_SHOWN]
        lines[item.item_id] = [
            neighbor_line(answer_line(workload, json.loads(rows[n]["output"])), rows[n]["input"])
            for n in nearest
            if similarity[n] >= _SIMILAR
        ]
    return lines

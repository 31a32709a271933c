"""How far the words of two windows are apart by chance: texts are dealt out anew.

The words of one text come together, so that drawing single words would make chance look smaller
than it is; a permutation of whole texts does not.
"""

import math

import numpy as np

from flywheel.drift.profile import WORDS
from flywheel.drift.scores import Cells, jensen_shannon
from flywheel.drift.window import Window
from flywheel.lake.store import Lake
from flywheel.workload import Workload

__all__ = ["word_chance"]

_TEXTS = 2_000
_DEALS = 200


def word_chance(
    lake: Lake, workload: Workload, reference: Window, current: Window, cells: Cells
) -> float:
    """Return the Jensen-Shannon distance that one in a hundred deals of the texts reaches.

    At most 2,000 texts a window are dealt; for longer windows the distance is scaled by the
    square root of the sizes, as the chance part of it is.
    """
    found = lake.query(
        """
        WITH texts AS (
            SELECT CAST(day >= $start AND day < $end AS INTEGER) AS side, input,
                   row_number() OVER (PARTITION BY day >= $start AND day < $end
                                      ORDER BY md5(inference_id)) AS number,
                   count(*) OVER (PARTITION BY day >= $start AND day < $end) AS size
            FROM first_inferences WHERE workload_id = $workload
              AND (day >= $old_start AND day < $old_end OR day >= $start AND day < $end)),
        kept AS (SELECT *, row_number() OVER (ORDER BY side, number) - 1 AS text
                 FROM texts WHERE number <= $texts)
        SELECT side, size, text, list_distinct(WORDS) AS words FROM kept ORDER BY text
        """.replace("WORDS", WORDS),
        {
            "workload": workload.id,
            "start": current.start,
            "end": current.end,
            "old_start": reference.start,
            "old_end": reference.end,
            "texts": _TEXTS,
        },
    )
    sides = found["side"].to_numpy()
    words = found["words"].to_pylist()
    texts = np.repeat(np.arange(len(words)), [len(of_text) for of_text in words])
    last = len(cells.names) - 1
    cell = np.array([cells.cell_of.get(w, last) for of_text in words for w in of_text], np.int64)
    rng = np.random.default_rng(workload.seed)
    distances = []
    for _ in range(_DEALS):
        side = rng.permutation(sides)[texts]
        old, new = (np.bincount(cell[side == s], minlength=last + 1) for s in (0, 1))
        distances.append(jensen_shannon(old.astype(np.float64), new.astype(np.float64)))
    sizes = [found["size"].to_numpy()[sides == side][0] for side in (0, 1)]
    dealt = [int((sides == side).sum()) for side in (0, 1)]
    shrink = math.sqrt((1 / sizes[0] + 1 / sizes[1]) / (1 / dealt[0] + 1 / dealt[1]))
    return float(np.quantile(distances, 0.99)) * shrink

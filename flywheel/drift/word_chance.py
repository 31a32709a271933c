"""`TextSample`: the words of two windows, and how far they are apart by chance.

Chance deals whole texts out again (a permutation test): the words of one text come together, so
that drawing single words would make chance look smaller than it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from flywheel.drift.profile import WORDS
from flywheel.drift.scores import Cells, jensen_shannon
from flywheel.drift.window import Window
from flywheel.lake.store import Lake
from flywheel.workload.model import Workload

__all__ = ["DEALS", "TextSample", "read_texts", "sample_of", "word_chance"]

_TEXTS = 2_000
DEALS = 200
Numbers = NDArray[np.int64]

_SAMPLE = """
WITH chosen AS (
    SELECT day >= $start AND day < $end AS current, input, day, inference_id
    FROM answered_inferences WHERE workload_id = $workload AND input IS NOT NULL
      AND (day >= $old_start AND day < $old_end OR day >= $start AND day < $end)
      AND md5_number_lower(inference_id)
          % CASE WHEN day >= $start AND day < $end THEN $rate ELSE $old_rate END = 0),
texts AS (
    SELECT *, row_number() OVER (PARTITION BY current ORDER BY md5(inference_id)) AS number
    FROM chosen)
SELECT current, list_distinct(WORDS) AS words,
       CAST(floor((day - CASE WHEN current THEN $start ELSE $old_start END) / $days)
            AS BIGINT) AS part
FROM texts WHERE number <= $texts ORDER BY current, number
""".replace("WORDS", WORDS)


@dataclass(frozen=True)
class TextSample:
    """The words of a sample of texts of both windows, each word once a text.

    ``word`` and ``text`` are parallel: which word (an index into ``words``) stands in which text.
    ``current`` says of each text whether it is of the current window, ``part`` in which run of
    days of its window it was written. ``sizes`` are all texts of the reference and of the current
    window.
    """

    words: tuple[str, ...]
    word: Numbers
    text: Numbers
    current: NDArray[np.bool_]
    part: Numbers
    sizes: tuple[int, int]


def read_texts(
    lake: Lake,
    workload: Workload,
    reference: Window,
    current: Window,
    *,
    days: int,
    sizes: tuple[int, int],
) -> TextSample | None:
    """Read at most 2,000 texts of each window, chosen by their id; None where one has no text.

    Args:
        lake: holds the events.
        workload: whose texts.
        reference: the window before.
        current: the window now.
        days: length of the parts.
        sizes: number of events of both windows.
    """
    table = lake.query(
        _SAMPLE,
        {
            "workload": workload.id,
            "start": current.start,
            "end": current.end,
            "old_start": reference.start,
            "old_end": reference.end,
            "days": days,
            "texts": _TEXTS,
            "old_rate": _rate(sizes[0]),
            "rate": _rate(sizes[1]),
        },
    )
    sides = np.asarray(table["current"].to_numpy(), np.bool_)
    if sides.all() or not sides.any():
        return None
    parts = np.asarray(table["part"].to_numpy(), np.int64)
    return sample_of(table["words"].to_pylist(), sides, parts, sizes)


def _rate(size: int) -> int:
    # One in so many events is looked at: sorting all of a million texts to take 2,000 costs more
    # than the whole verdict. A few more than needed, since the number left over varies.
    return max(1, int(size / (1.2 * _TEXTS)))


def sample_of(
    texts: Sequence[Sequence[str]],
    current: NDArray[np.bool_],
    part: Numbers,
    sizes: tuple[int, int],
) -> TextSample:
    """Return the sample of texts given as lists of distinct words."""
    names = sorted({word for words in texts for word in words})
    position = {name: number for number, name in enumerate(names)}
    word = np.array([position[w] for words in texts for w in words], np.int64)
    text = np.repeat(np.arange(len(texts)), [len(words) for words in texts])
    return TextSample(tuple(names), word, text, current, part, sizes)


def word_chance(sample: TextSample, cells: Cells, *, seed: int) -> float:
    """Return the Jensen-Shannon distance that one in a hundred deals of the texts reaches.

    For windows longer than the sample the distance is scaled by the square root of the sizes, as
    the chance part of it is.
    """
    last = len(cells.names) - 1
    cell_of_word = np.array([cells.cell_of.get(word, last) for word in sample.words], np.int64)
    cell = cell_of_word[sample.word]
    rng = np.random.default_rng(seed)
    distances = []
    for _ in range(DEALS):
        side = rng.permutation(sample.current)[sample.text]
        old, new = (np.bincount(cell[side == s], minlength=last + 1) for s in (False, True))
        distances.append(jensen_shannon(old.astype(np.float64), new.astype(np.float64)))
    dealt = int((~sample.current).sum()), int(sample.current.sum())
    sizes = sample.sizes
    shrink = sqrt((1 / sizes[0] + 1 / sizes[1]) / (1 / dealt[0] + 1 / dealt[1]))
    return float(np.quantile(distances, 0.99)) * shrink

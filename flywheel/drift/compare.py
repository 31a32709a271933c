"""Score two profiles column by column, and tell a shift from chance.

A column drifted when its distance (PSI, Jensen-Shannon) or its change in shares (texts with risen
words, the category that moved most) passes the workload's threshold *and* what windows of this
size reach without drift.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import hypot
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from flywheel.drift.merged import Histogram, Profile
from flywheel.drift.profile import BINS, OTHER_TERM
from flywheel.drift.report import ColumnDrift, ShareChange
from flywheel.drift.scores import (
    Cells,
    cells_of,
    chance,
    confidence_cells,
    jensen_shannon,
    psi,
)
from flywheel.drift.share_change import (
    MARGIN,
    largest_excess,
    largest_share_change,
    risen_words_change,
)
from flywheel.drift.word_chance import TextSample, word_chance
from flywheel.workload.model import Workload

__all__ = ["bar", "compare"]

Role = Literal["input", "output", "service"]
Method = Literal["psi", "jensen_shannon"]
Vector = NDArray[np.float64]
Texts = Callable[[], TextSample | None]
_ROLES: dict[str, Role] = {
    "input_length": "input",
    "vocabulary": "input",
    "client": "input",
    "latency_ms": "service",
    "errors": "service",
}
# Answers of another release are not drift of the traffic.
_SAME_RELEASE = 0.9
_FEWEST_PARTS = 3


def compare(
    workload: Workload,
    old: Profile,
    new: Profile,
    *,
    parts: Sequence[Profile] = (),
    texts: Texts | None = None,
) -> tuple[ColumnDrift, ...]:
    """Score every column of two profiles.

    Args:
        workload: whose thresholds count.
        old: the reference.
        new: the window to judge.
        parts: the profiles that ``old`` is the sum of, to see how far ordinary weeks are apart.
        texts: reads a sample of the texts of both windows, asked only where the words counted in
            the profiles leave a drift possible; without it single words are drawn, and the share
            of texts with risen words is not known.
    """
    same_release = _overlap(old.columns.get("release"), new.columns.get("release"))
    columns = []
    for name in sorted((set(old.columns) | set(new.columns) | {"errors"}) - {"release"}):
        role = _ROLES.get(name, "output")
        if role != "input" and same_release < _SAME_RELEASE:
            note = "answered by another release than the reference"
        else:
            note = "" if name == "errors" else _incomparable(name, old, new)
        if note:
            columns.append(_unscored(workload, name, role, note))
            continue
        estimate = partial(_by_chance, workload, name, parts, texts)
        change = _change(workload, name, (old, new), parts, texts)
        columns.append(_column(workload, name, role, (old, new), estimate, change))
    return tuple(columns)


def _incomparable(name: str, old: Profile, new: Profile) -> str:
    sides = [p.columns[name].size if name in p.columns else 0 for p in (old, new)]
    if not all(sides):
        return "no values in the reference" if sides[1] else "no values in the window"
    return ""


def _method(workload: Workload, name: str) -> tuple[Method, float]:
    if name in BINS or name == "errors":
        return "psi", workload.drift.psi
    return "jensen_shannon", workload.drift.jensen_shannon


def _unscored(workload: Workload, name: str, role: Role, note: str) -> ColumnDrift:
    method, threshold = _method(workload, name)
    return ColumnDrift(name, role, method, None, threshold, None, drifted=False, note=note)


def _words_change(
    workload: Workload, profiles: tuple[Profile, Profile], texts: Texts | None
) -> ShareChange | None:
    old, new = profiles
    threshold = workload.drift.risen_words
    counts = [p.columns["vocabulary"].counts for p in profiles]
    names = sorted((set(counts[0]) | set(counts[1])) - {OTHER_TERM})
    before, now = (np.array([c.get(n, 0) for n in names], np.float64) for c in counts)
    # Reading texts costs more than the whole verdict; most weeks no word has risen enough.
    if texts is None or largest_excess(before, now, old.texts, new.texts) < threshold:
        return None
    sample = texts()
    if sample is None:
        return None
    return risen_words_change(sample, threshold=threshold, seed=workload.seed)


def _column(
    workload: Workload,
    name: str,
    role: Role,
    profiles: tuple[Profile, Profile],
    estimate: Callable[[Cells, Vector, Vector], float],
    change: ShareChange | None,
) -> ColumnDrift:
    method, threshold = _method(workload, name)
    reference, current = (_histogram(profile, name) for profile in profiles)
    cells = _cells(name, reference, current)
    before, now = cells.vector(reference), cells.vector(current)
    value = _score(method, before, now)
    # What chance explains is the costly part, and matters only beyond the threshold.
    by_chance = MARGIN * estimate(cells, before, now) if value >= threshold else None
    drifted = (
        by_chance is not None and value > by_chance and value >= bar(method, threshold, by_chance)
    )
    drifted = drifted or (change is not None and change.counts)
    return ColumnDrift(
        name, role, method, value, threshold, by_chance, drifted=drifted, change=change
    )


def bar(method: Method, threshold: float, by_chance: float) -> float:
    """Return the score from which a column drifted.

    A Jensen-Shannon distance of small samples is mostly noise. Its square is a sum of what changed
    and what chance adds, so that the threshold holds for what is left without the latter.
    """
    return hypot(threshold, by_chance) if method == "jensen_shannon" else max(threshold, by_chance)


def _cells(name: str, reference: Histogram, current: Histogram) -> Cells:
    build = confidence_cells if name == "confidence" else cells_of
    return build(reference, current)


def _change(
    workload: Workload,
    name: str,
    profiles: tuple[Profile, Profile],
    parts: Sequence[Profile],
    texts: Texts | None,
) -> ShareChange | None:
    if name in BINS:
        return None
    if name == "vocabulary":
        return _words_change(workload, profiles, texts)
    reference, current = (_histogram(profile, name) for profile in profiles)
    cells = cells_of(reference, current)
    return largest_share_change(
        cells.names,
        cells.vector(reference),
        cells.vector(current),
        [cells.vector(_histogram(part, name)) for part in parts],
        threshold=workload.drift.share_change,
    )


def _score(method: Method, before: Vector, now: Vector) -> float:
    return psi(before, now) if method == "psi" else jensen_shannon(before, now)


def _by_chance(
    workload: Workload,
    name: str,
    parts: Sequence[Profile],
    texts: Texts | None,
    cells: Cells,
    before: Vector,
    now: Vector,
) -> float:
    method, _ = _method(workload, name)
    sample = texts() if name == "vocabulary" and texts is not None else None
    if sample is not None:
        drawn = word_chance(sample, cells, seed=workload.seed)
    else:
        drawn = chance(method, before, now, seed=workload.seed)
    return max(drawn, _between_parts(cells, name, parts, method))


def _between_parts(cells: Cells, name: str, parts: Sequence[Profile], method: Method) -> float:
    # Ordinary weeks differ by more than a draw explains: those of the reference show by how much.
    vectors = [cells.vector(_histogram(part, name)) for part in parts]
    vectors = [vector for vector in vectors if vector.sum() > 0]
    if len(vectors) < _FEWEST_PARTS:
        return 0.0
    total = sum(vectors[1:], vectors[0])
    # The last run of days may be shorter than a window, and further off for that reason alone.
    full_parts = [v for v in vectors if v.sum() >= total.sum() / len(vectors) / 2]
    return max((_score(method, total - vector, vector) for vector in full_parts), default=0.0)


def _histogram(profile: Profile, name: str) -> Histogram:
    if name != "errors":
        return profile.columns.get(name, Histogram("category", {}))
    failed = profile.columns[name].size if name in profile.columns else 0
    return Histogram("category", {"failed": failed, "fine": profile.events - failed})


def _overlap(one: Histogram | None, other: Histogram | None) -> float:
    if one is None or other is None or not one.size or not other.size:
        return 1.0
    shares: Mapping[str, float] = {key: count / one.size for key, count in one.counts.items()}
    return sum(min(shares.get(k, 0.0), count / other.size) for k, count in other.counts.items())

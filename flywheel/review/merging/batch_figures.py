"""`figures_by_batch`: figures of every batch of items, counted again only where its judgments changed.

Each batch has a fingerprint: sums of hashes over its items, the judgments on them and what was
decided about them, as readers see them now. So late judgments, adjudications, erasures and restored
backups need no code of their own. DuckDB makes the fingerprints in one pass over narrow columns; the
rows of a batch become Python objects only when its fingerprint is another one.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from weakref import WeakKeyDictionary

from flywheel.io.records import JsonObject
from flywheel.lake.derived_file import DerivedFile
from flywheel.lake.store import Lake
from flywheel.review.merging.judgment_prints import DECIDED, GIVEN, HASHES_OF, ITEM
from flywheel.workload.model import Workload

__all__ = [
    "REVIEW_FIGURES_FOLDER",
    "CountBatches",
    "drop_review_figures",
    "figures_by_batch",
    "review_file",
]

REVIEW_FIGURES_FOLDER = "review_figures"

# Annotations whose item was never sent; counted each time.
_UNKNOWN_BATCH = ""
_MADE_BY = f"1, {HASHES_OF}"

_FINGERPRINTS = f"""
WITH item AS ({ITEM}), given AS ({GIVEN}), decided AS ({DECIDED}), checked AS (
  SELECT DISTINCT inference_id FROM label_checks WHERE workload_id = $workload
)
SELECT coalesce(item.batch, '{_UNKNOWN_BATCH}') AS batch, CAST(sum(hash(
    item_id, item.digest, given.digest, decided.digest, checked.inference_id IS NOT NULL
  )) AS VARCHAR) AS fingerprint
FROM item FULL JOIN given USING (item_id)
LEFT JOIN decided ON decided.inference_id = item.inference_id
LEFT JOIN checked ON checked.inference_id = item.inference_id
GROUP BY ALL ORDER BY batch
"""  # noqa: S608 - constants of the project
_ITEMS = f"""
WITH item AS ({ITEM})
SELECT item_id, coalesce(batch, '{_UNKNOWN_BATCH}') AS batch FROM item
FULL JOIN (
  SELECT DISTINCT item_id FROM latest_annotations WHERE workload_id = $workload
) USING (item_id)
WHERE coalesce(batch, '{_UNKNOWN_BATCH}') IN (SELECT unnest($batches::VARCHAR[]))
ORDER BY item_id
"""  # noqa: S608 - constants of the project

# What the fingerprints depend on: whoever is erased is known by the events.
_READ = ("review_items", "annotations", "corrections", "erasures", "inferences")
_Snapshots = tuple[tuple[int, int] | None, ...]
_NEWEST: WeakKeyDictionary[Lake, dict[str, tuple[_Snapshots, dict[str, str]]]] = WeakKeyDictionary()

CountBatches = Callable[[Mapping[str, str]], Mapping[str, JsonObject]]
"""Counts batches: from the batch of each item, by item id, to figures as JSON, by batch."""


def figures_by_batch(
    lake: Lake, workload: Workload, name: str, count: CountBatches
) -> dict[str, JsonObject]:
    """Return the figures of every batch, by its name.

    Args:
        lake: holds items, judgments and corrections; the figures are kept beside it.
        workload: another revision of it has every batch counted again.
        name: what the figures are, a name for a file; changes with the meaning of the figures.
        count: counts the batches that changed.
    """
    file = review_file(lake, f"{name}_{workload.id}.json")
    basis = f"{_MADE_BY}, {workload.revision}"
    kept = file.read(lambda content: _parse(content, basis)) or {}
    parameters = {"workload": workload.id}
    prints = _fingerprints(lake, workload.id)
    changed = [
        batch
        for batch, fingerprint in prints.items()
        if batch == _UNKNOWN_BATCH or kept.get(batch, ("",))[0] != fingerprint
    ]
    fresh: Mapping[str, JsonObject] = {}
    if changed:
        items = lake.rows(_ITEMS, parameters | {"batches": changed})
        fresh = count({row["item_id"]: row["batch"] for row in items})
    figures = {batch: fresh[batch] for batch in changed}
    figures |= {batch: kept[batch][1] for batch in prints.keys() - figures.keys()}
    now = {
        batch: (fingerprint, figures[batch])
        for batch, fingerprint in prints.items()
        if batch != _UNKNOWN_BATCH
    }
    if now != kept:
        content = json.dumps({"basis": basis, "batches": now}).encode()
        file.write(lambda opened: opened.write(content))
    return {batch: figures[batch] for batch in prints}


def _fingerprints(lake: Lake, workload_id: str) -> dict[str, str]:
    # Several figures are asked for one after the other: until a table has a new snapshot, the sums
    # over all judgments are those of the last time.
    snapshots = _snapshots(lake)
    of_lake = _NEWEST.setdefault(lake, {})
    if workload_id not in of_lake or of_lake[workload_id][0] != snapshots:
        rows = lake.rows(_FINGERPRINTS, {"workload": workload_id})
        of_lake[workload_id] = snapshots, {row["batch"]: row["fingerprint"] for row in rows}
    return of_lake[workload_id][1]


def _snapshots(lake: Lake) -> _Snapshots:
    with lake.lock:
        handles = [lake.handle(name) for name in _READ]
        for handle in handles:
            handle.refresh()
        return tuple(handle.snapshot_key for handle in handles)


def review_file(lake: Lake, name: str) -> DerivedFile:
    """Return a file of what is kept about judgments, by its name; an erasure removes it."""
    return DerivedFile(_folder(lake) / name)


def drop_review_figures(lake: Lake) -> None:
    """Remove what is kept of all workloads: digests of answers are among it."""
    for path in _folder(lake).glob("*"):
        path.unlink(missing_ok=True)


def _folder(lake: Lake) -> Path:
    return lake.location.local / REVIEW_FIGURES_FOLDER


def _parse(content: bytes, basis: str) -> dict[str, tuple[str, JsonObject]] | None:
    kept = json.loads(content)
    if kept["basis"] != basis:
        return None
    return {batch: (entry[0], entry[1]) for batch, entry in kept["batches"].items()}

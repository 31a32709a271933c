"""Build a cycle's dataset from the accepted corrections of all cycles."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.artifacts.snapshot import EVALUATION_SPLITS, Snapshot, open_snapshot
from flywheel.dataset.assembly import Assembly, Earlier, assemble, check_leakage, in_force
from flywheel.dataset.control_windows import control_windows, describe_control
from flywheel.dataset.conversations import read_conversations
from flywheel.dataset.disputes import read_disputes
from flywheel.dataset.examples import Example, Excluded, read_examples
from flywheel.dataset.fixed_cases import fixed_cases
from flywheel.dataset.golden import carry_golden
from flywheel.dataset.preference import Preference, choose_pairs
from flywheel.dataset.thumbs import choose_method, choose_thumbs, read_thumbs
from flywheel.dataset.writing import write_snapshot
from flywheel.errors import TooFewExamplesError
from flywheel.io.records import JsonObject
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload

__all__ = ["EXCLUDED", "NO_PAIR", "Champion", "Snapshot", "build_dataset"]

EXCLUDED = "excluded"
NO_PAIR = "no_pair"


@dataclass(frozen=True)
class Champion:
    """The release that answers: its name, when it was promoted, and the snapshot it learned from."""

    release: str
    promoted_at: datetime
    dataset_hash: str


def build_dataset(  # noqa: PLR0913 - what a cycle decides, each by name
    lake: Lake,
    opened: OpenedWorkload,
    *,
    home: Path,
    now: datetime,
    golden_from: Path | None = None,
    holdout_since: datetime | None = None,
    promoted: Sequence[str] = (),
    champion: Champion | None = None,
    hash_key: str = "",
) -> Snapshot:
    """Write the cycle's snapshot and its membership; repeating it changes nothing.

    Args:
        lake: corrections are read from it and membership is written to it.
        opened: the cycle, kept in membership and manifest, and its workload, whose taxonomy, sizes
            and thresholds decide.
        home: folder that holds ``datasets/``.
        now: noted in the manifest.
        golden_from: snapshot folder of a promoted release, whose golden set is frozen; None before
            the first promotion.
        holdout_since: event time from which control rows are the holdout; None: all of them.
        promoted: cycles promoted so far, whose fixed cases must not be lost.
        champion: release whose quality and calibration rest on control rows; None: the base model.
        hash_key: key of the hash that stands for an input in the membership.

    Raises:
        TooFewExamplesError: there are fewer good examples than the workload asks for; nothing was
            written.
        LeakageError: training and evaluation overlap after all.
    """
    workload = opened.workload
    mapping = AnswerMapping(workload)
    examples, unusable = read_examples(lake, workload.id, mapping, hash_key)
    golden: list[Example] | None = None
    retired: list[Excluded] = []
    if golden_from is not None:
        golden, retired = carry_golden(lake, workload, mapping, golden_from, hash_key)
    windows = control_windows(
        holdout_since=holdout_since,
        quality_since=None if champion is None else champion.promoted_at,
        champion=None if champion is None else champion.release,
        calibrated_on=_calibrated_on(lake, workload.id, champion),
    )
    conversations = read_conversations(lake, workload)
    earlier = in_force(_earlier(lake, workload.id), examples, windows)
    assembly = assemble(
        workload,
        examples,
        golden=golden,
        windows=windows,
        fixed=fixed_cases(lake, workload.id, promoted),
        earlier=earlier,
        conversations=conversations,
    )
    assembly.excluded.extend([*unusable, *retired])
    check_leakage(assembly, earlier, workload.review.near_duplicate, windows, conversations)
    _check_size(workload, assembly)
    sources = {
        "built_at": now.isoformat(),
        "lake": str(lake.root),
        "accepted_corrections": len(examples) + len(unusable),
        "golden_from": golden_from and open_snapshot(golden_from).hash,
        "golden_wanted": workload.golden_size,
        "holdout_since": holdout_since and holdout_since.isoformat(),
        "promoted_cycles": list(promoted),
        "control": describe_control(examples, windows, assembly.train),
    }
    preference = None
    if workload.training.preference is not None:
        disputes = read_disputes(lake, workload.id, hash_key)
        recipe = workload.training.preference
        preference = choose_pairs(workload, mapping, recipe, assembly.train, disputes)
        if recipe.method != "dpo":
            given = read_thumbs(lake, workload.id, mapping, hash_key)
            thumbs = choose_thumbs(
                workload, given, examples, assembly, earlier, disputes, conversations
            )
            preference = choose_method(recipe, preference, thumbs)
    snapshot = write_snapshot(
        opened,
        mapping,
        assembly,
        home=home,
        sources=sources,
        preference=preference,
    )
    _write_membership(lake, opened.cycle, snapshot.hash, assembly, preference)
    return snapshot


def _earlier(lake: Lake, workload_id: str) -> Earlier:
    rows = lake.rows(
        "SELECT DISTINCT inference_id, input_hash, split FROM dataset_rows "
        "WHERE workload_id = $workload AND list_contains($splits, split)",
        {"workload": workload_id, "splits": list(EVALUATION_SPLITS)},
    )
    lasting = [row for row in rows if row["split"] != "holdout"]
    ids = frozenset(row["inference_id"] for row in lasting)
    return Earlier(
        ids,
        frozenset(row["input_hash"] for row in lasting),
        frozenset(row["inference_id"] for row in lasting if row["split"] == "golden"),
        frozenset(
            (row["inference_id"], row["input_hash"])
            for row in rows
            if row["split"] == "holdout" and row["inference_id"] not in ids
        ),
    )


def _calibrated_on(lake: Lake, workload_id: str, champion: Champion | None) -> frozenset[str]:
    if champion is None:
        return frozenset()
    rows = lake.rows(
        "SELECT DISTINCT inference_id FROM dataset_rows "
        "WHERE workload_id = $workload AND snapshot = $snapshot AND split = 'holdout'",
        {"workload": workload_id, "snapshot": champion.dataset_hash},
    )
    return frozenset(row["inference_id"] for row in rows)


def _check_size(workload: Workload, assembly: Assembly) -> None:
    usable_ids = {example.correction_id for example in [*assembly.train, *assembly.evaluation]}
    enough = len(usable_ids) >= workload.minimum_examples
    if enough and assembly.train and assembly.golden:
        return
    reasons = Counter(excluded.reason for excluded in assembly.excluded)
    left_out = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    raise TooFewExamplesError(
        f"There are {len(usable_ids)} good examples ({len(assembly.train)} to train on, "
        f"{len(assembly.golden)} golden, {len(assembly.holdout)} holdout), {workload.id} asks for "
        f"{workload.minimum_examples}; left out: {left_out or 'none'}.",
        next_step="let people review more, import more labeled rows, or lower `minimum_examples`",
        good=len(usable_ids),
        wanted=workload.minimum_examples,
        train=len(assembly.train),
        golden=len(assembly.golden),
        excluded=dict(reasons),
    )


def _write_membership(
    lake: Lake,
    cycle: CycleRef,
    snapshot: str,
    assembly: Assembly,
    preference: Preference | None,
) -> None:
    def row(example: Example, split: str, reason: str | None) -> JsonObject:
        return {
            "workload_id": cycle.workload_id,
            "snapshot": snapshot,
            "cycle": cycle.name,
            "split": split,
            "inference_id": example.inference_id,
            "correction_id": example.correction_id,
            "input_hash": example.input_hash,
            "label_id": example.label_id,
            "reason": reason,
            "subject_id": example.subject_id,
        }

    rows = [
        row(example, split, None)
        for split in ("train", *EVALUATION_SPLITS)
        for example in getattr(assembly, split)
    ]
    rows += [row(left_out.example, EXCLUDED, left_out.reason) for left_out in assembly.excluded]
    if preference is not None:
        rows += [row(example, "preference", None) for example in preference.pairs]
        rows += [
            row(left_out.example, NO_PAIR, left_out.reason) for left_out in preference.excluded
        ]
    table = pa.Table.from_pylist(rows, schema=TABLES["dataset_rows"].schema)
    where = {"workload_id": cycle.workload_id, "snapshot": snapshot, "cycle": cycle.name}
    lake.replace("dataset_rows", table, where=where)

"""Write a snapshot: canonical rows, a folder named by their hash, a manifest; all or nothing."""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flywheel.artifacts.dataset_rows import (
    DatasetRow,
    FixedRecord,
    LabeledRow,
    PreferenceRow,
    ThumbedRow,
)
from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.artifacts.snapshot import (
    MANIFEST,
    SPLITS,
    FixedCase,
    Snapshot,
    SnapshotManifest,
    Split,
    content_hash,
    verify_snapshot,
)
from flywheel.dataset.assembly import Assembly
from flywheel.dataset.examples import Example
from flywheel.dataset.preference import Preference
from flywheel.io.atomic import place, write_bytes, write_text
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload
from flywheel.workload.prompt import stored_prompt

__all__ = ["write_snapshot"]


def write_snapshot(
    opened: OpenedWorkload,
    mapping: AnswerMapping,
    assembly: Assembly,
    *,
    home: Path,
    sources: Mapping[str, Any],
    preference: Preference | None = None,
) -> Snapshot:
    """Write the snapshot's folder, or find it where the same rows were written before.

    Without ``preference`` every training row with a replaced answer is a preference row, which
    nobody trains on.
    """
    workload = opened.workload
    writer = _RowWriter(workload, mapping)
    files: dict[Split, bytes] = {
        "train": _lines(writer.labeled(assembly.train)),
        "preference": _lines(writer.preferred(assembly, preference)),
        "golden": _lines(writer.labeled(assembly.golden)),
        "holdout": _lines(writer.labeled(assembly.holdout)),
        "must_not_lose": _lines(writer.must_not_lose(assembly)),
    }
    name = content_hash(files, workload.taxonomy_version)
    folder = home / "datasets" / workload.id / name
    if not folder.exists():
        manifest: SnapshotManifest = {
            "hash": name,
            "files": {f"{s}.jsonl": hashlib.sha256(files[s]).hexdigest() for s in SPLITS},
            "counts": {split: files[split].count(b"\n") for split in SPLITS},
            "exclusions": dict(sorted(Counter(e.reason for e in assembly.excluded).items())),
            "taxonomy_version": workload.taxonomy_version,
            "workload_id": workload.id,
            "workload_revision": workload.revision,
            "cycle": opened.cycle.name,
            "sources": dict(sources),
        }
        if preference is not None:
            manifest["preference"] = preference.to_facts()
        _write(folder, files, manifest)
    return verify_snapshot(folder)


@dataclass(frozen=True)
class _RowWriter:
    # Examples as TRL reads them: text, or the turns of a chat with the answer as a turn of its own.
    workload: Workload
    mapping: AnswerMapping

    def labeled(self, examples: Iterable[Example]) -> list[LabeledRow]:
        return [
            {
                "inference_id": example.inference_id,
                "correction_id": example.correction_id,
                "input": example.input,
                "prompt": self._prompt(example),
                "completion": self._turn(self.mapping.text(example.output)),
                "output": example.output,
                "label_id": example.label_id,
            }
            for example in _in_order(examples)
        ]

    def must_not_lose(self, assembly: Assembly) -> list[LabeledRow]:
        rows = self.labeled(assembly.must_not_lose)
        for row in rows:
            row["fixed"] = _recorded(assembly.fixed.get(row["inference_id"]))
            row["named"] = row["inference_id"] in self.workload.gates.must_hold
        return rows

    def preferred(
        self, assembly: Assembly, preference: Preference | None
    ) -> Sequence[PreferenceRow | ThumbedRow]:
        if preference is None:
            return self._pairs(e for e in assembly.train if e.rejected is not None)
        if preference.thumbs:
            return self._thumbs(preference.pairs, preference.thumbs)
        return self._pairs(preference.pairs)

    def _pairs(self, examples: Iterable[Example]) -> list[PreferenceRow]:
        return [
            {
                "inference_id": example.inference_id,
                "correction_id": example.correction_id,
                "prompt": self._prompt(example),
                "chosen": self._turn(self.mapping.text(example.output)),
                "rejected": self._turn(example.rejected),
            }
            for example in _in_order(examples)
        ]

    def _thumbs(self, examples: Iterable[Example], thumbs: Mapping[str, bool]) -> list[ThumbedRow]:
        return [
            {
                "inference_id": example.inference_id,
                "correction_id": example.correction_id,
                "prompt": self._prompt(example),
                "completion": self._turn(self.mapping.text(example.output)),
                "label": thumbs[example.correction_id],
            }
            for example in _in_order(examples)
        ]

    def _prompt(self, example: Example) -> Any:
        return stored_prompt(self.workload, example.input, self._present)

    def _present(self, output: Any) -> str:
        return self.mapping.text(self.mapping.present(output).output)

    def _turn(self, answer: str | None) -> Any:
        is_chat = not isinstance(self.workload.prompt, str)
        return [{"role": "assistant", "content": answer}] if is_chat else answer


def _recorded(case: FixedCase | None) -> FixedRecord | None:
    return None if case is None else {"times": case.times, "held": case.held, "lost": case.lost}


def _in_order(examples: Iterable[Example]) -> list[Example]:
    return sorted(examples, key=lambda example: (example.inference_id, example.correction_id))


def _lines(rows: Sequence[DatasetRow]) -> bytes:
    # ASCII, so that no character inside a text can be taken for the end of a line.
    return b"".join(
        json.dumps(row, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        for row in rows
    )


def _write(folder: Path, files: Mapping[Split, bytes], manifest: SnapshotManifest) -> None:
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for split, content in files.items():
        write_bytes(part / f"{split}.jsonl", content, durable=False)
    text = json.dumps(manifest, indent=2, ensure_ascii=False, sort_keys=True)
    write_text(part / MANIFEST, text + "\n", durable=False)  # `place` brings all to the disk
    try:
        place(part, folder)
    except OSError:
        # Another process was first; the caller verifies what is there.
        shutil.rmtree(part, ignore_errors=True)
        if not folder.exists():
            raise

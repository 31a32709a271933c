"""Write a snapshot: canonical rows, a folder named by their hash, a manifest; all or nothing."""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.artifacts.snapshot import MANIFEST, SPLITS, Snapshot, content_hash, verify_snapshot
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
    files = {
        split: _lines(_rows(workload, mapping, split, getattr(assembly, split)))
        for split in SPLITS
        if split not in ("preference", "must_not_lose")
    }
    files["must_not_lose"] = _lines(_must_not_lose_rows(workload, mapping, assembly))
    pairs = [example for example in assembly.train if example.rejected is not None]
    if preference is not None:
        pairs = preference.pairs
    thumbs = preference.thumbs if preference is not None else {}
    files["preference"] = _lines(_rows(workload, mapping, "preference", pairs, thumbs))
    name = content_hash(files, workload.taxonomy_version)
    folder = home / "datasets" / workload.id / name
    if not folder.exists():
        manifest: dict[str, Any] = {
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


def _rows(
    workload: Workload,
    mapping: AnswerMapping,
    split: str,
    examples: Iterable[Example],
    thumbs: Mapping[str, bool] | None = None,
) -> list[dict[str, Any]]:
    def write(output: Any) -> str:
        return mapping.text(mapping.present(output).output)

    # As TRL reads them: text, or the turns of a chat with the answer as a turn of its own.
    is_chat = not isinstance(workload.prompt, str)
    rows = []
    for example in sorted(examples, key=lambda e: (e.inference_id, e.correction_id)):
        prompt = stored_prompt(workload, example.input, write)
        answer = mapping.text(example.output)
        row: dict[str, Any] = {
            "inference_id": example.inference_id,
            "correction_id": example.correction_id,
        }
        if thumbs:
            answer_row = {"prompt": prompt, "completion": _turn(answer, is_chat=is_chat)}
            row |= answer_row | {"label": thumbs[example.correction_id]}
        elif split == "preference":
            chosen, rejected = (
                _turn(answer, is_chat=is_chat),
                _turn(example.rejected, is_chat=is_chat),
            )
            row |= {"prompt": prompt, "chosen": chosen, "rejected": rejected}
        else:
            row |= {
                "input": example.input,
                "prompt": prompt,
                "completion": _turn(answer, is_chat=is_chat),
                "output": example.output,
                "label_id": example.label_id,
            }
        rows.append(row)
    return rows


def _turn(answer: str | None, *, is_chat: bool) -> Any:
    return [{"role": "assistant", "content": answer}] if is_chat else answer


def _must_not_lose_rows(
    workload: Workload, mapping: AnswerMapping, assembly: Assembly
) -> list[dict[str, Any]]:
    rows = _rows(workload, mapping, "must_not_lose", assembly.must_not_lose)
    for row in rows:
        record = assembly.fixed.get(row["inference_id"])
        row["fixed"] = record and asdict(record)
        row["named"] = row["inference_id"] in workload.gates.must_hold
    return rows


def _lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    # ASCII, so that no character inside a text can be taken for the end of a line.
    return b"".join(
        json.dumps(row, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        for row in rows
    )


def _write(folder: Path, files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
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

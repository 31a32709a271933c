"""A real base model of the smallest useful size, built once per test run in a few seconds."""

import atexit
import hashlib
import json
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from flywheel.artifacts.adapter_folder import MANIFEST, write_manifest
from flywheel.basemodel import BaseModel, build_base
from flywheel.basemodel.tiny import TinySize
from flywheel.ports.train_launcher import TrainSpec
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.model import Workload, parse_workload
from flywheel.workload.prompt import render_prompt
from tests.fakes.in_process_trainer import InProcessTrainer

MICRO = TinySize(
    hidden=64, heads=2, intermediate=64, vocabulary=600, reserved=4, positions=256, steps=3, batch=8
)
_PARTS = {
    "seal": "the seal leaks oil",
    "paint": "the paint peels off",
    "weld": "the weld is cracked",
}


def classification() -> Workload:
    """Return a workload over three labels, two of which begin alike."""
    labels = [{"id": name, "name": name} for name in _PARTS]
    labels[1]["name"] = "seal paint"
    return parse_workload(
        {
            "id": "parts",
            "owner": "tests",
            "task": {"type": "classification"},
            "prompt": "Report: {input}\nPart: ",
            "taxonomy": {"labels": labels},
            "limits": {"answer_tokens": 24},
        },
        source="micro",
    )


def extraction() -> Workload:
    """Return a workload over a closed JSON schema with a label in it."""
    properties = {"part": {"type": "string"}, "urgency": {"enum": ["low", "high"]}}
    schema = {"type": "object", "properties": properties, "required": ["part", "urgency"]}
    raw = classification().model_dump(mode="json", by_alias=True)
    task = {"type": "extraction", "schema": schema, "label_field": "part"}
    return parse_workload({**raw, "id": "part_urgency", "task": task}, source="micro")


def texts() -> list[str]:
    """Return unlabeled reports."""
    return [text for text, _ in labeled(60)]


def labeled(count: int) -> list[tuple[str, str]]:
    """Return reports with the names of their labels."""
    names = [label.name for label in classification().taxonomy.labels]
    sentences = list(_PARTS.values())
    return [
        (f"On machine {number} {sentences[number % 3]} again", names[number % 3])
        for number in range(count)
    ]


@cache
def _cache_folder() -> Path:
    folder = Path(mkdtemp(prefix="micro-base-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def micro_base(workload: Workload | None = None, *, seed: int = 0) -> BaseModel:
    """Return the base of a workload, built once per process and seed."""
    workload = workload or classification()
    return build_base(
        "tiny", workload=workload, texts=texts(), cache=_cache_folder(), size=MICRO, seed=seed
    )


def codec(workload: Workload | None = None) -> AnswerCodec:
    """Return the codec of a workload on its micro base."""
    workload = workload or classification()
    base = micro_base(workload)
    return base.codec(workload)


def write_snapshot(
    folder: Path, rows: list[dict[str, Any]], pairs: list[dict[str, Any]] | None = None
) -> str:
    """Write a dataset snapshot with training rows and pairs alone and return its hash."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {"train.jsonl": rows} | ({} if pairs is None else {"preference.jsonl": pairs})
    files, digest = {}, hashlib.sha256()
    for name, lines in contents.items():
        content = "".join(json.dumps(line) + "\n" for line in lines).encode()
        (folder / name).write_bytes(content)
        files[name] = hashlib.sha256(content).hexdigest()
        digest.update(content)
    manifest = {"hash": digest.hexdigest(), "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return digest.hexdigest()


def preference_pairs(count: int) -> list[dict[str, Any]]:
    """Return pairs in which the label of the next report was replaced by the right one."""
    answers = labeled(count + 1)
    return [
        {
            "inference_id": f"i{number}",
            "prompt": render_prompt(classification(), text).text,
            "chosen": name,
            "rejected": answers[number + 1][1],
        }
        for number, (text, name) in enumerate(answers[:count])
    ]


def training_spec(
    folder: Path, *, rows: int = 24, seed: int = 0, pairs: int | None = None, **recipe: Any
) -> TrainSpec:
    """Return the spec of a training on the micro base, its snapshot written into ``folder``."""
    workload, base = classification(), micro_base()
    records = [
        {"inference_id": f"i{number}", "input": text, "output": name}
        for number, (text, name) in enumerate(labeled(rows))
    ]
    settings = {"epochs": 2, "batch_size": 4, "rank": 8, "checkpoint_steps": 3, **recipe}
    snapshot = write_snapshot(folder, records, None if pairs is None else preference_pairs(pairs))
    return TrainSpec(
        release=f"parts-2026Q1-1-{seed}",
        workload=workload,
        cycle="2026Q1-1",
        attempt=1,
        base_folder=base.folder,
        base_digest=base.digest,
        surfaces=dict(codec().surfaces),
        dataset_folder=folder,
        dataset_hash=snapshot,
        recipe=workload.training.model_copy(update=settings),
        seed=seed,
    )


def train_adapters(out: Path) -> dict[str, Path]:
    """Train an adapter of the micro base, and make another one with weaker weights."""
    from safetensors.numpy import load_file, save_file

    spec = training_spec(out / "dataset", rows=36, epochs=10, learning_rate=1e-2)
    result = InProcessTrainer().run(spec, out, on_progress=lambda _progress: None)
    other = Path(shutil.copytree(out / result.adapter, out / "other"))
    weights = load_file(other / "adapter_model.safetensors")
    save_file({k: v / 2 for k, v in weights.items()}, other / "adapter_model.safetensors")
    write_manifest(other, json.loads((other / MANIFEST).read_text()))
    return {"parts-0": out / result.adapter, "parts-1": other}

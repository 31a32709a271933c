"""A taxonomy of many labels, from the file to a training: the steps that `bench.scale` measures."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from bench.scale_rows import NOW, case_rows, profile_rows
from bench.trainer import TrainingWork, quiet_libraries
from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.dataset_rows import LabeledRow
from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.basemodel import build_base
from flywheel.basemodel.surfaces import label_surfaces, reserved_surfaces
from flywheel.basemodel.tiny import TINY
from flywheel.basemodel.tokenizer import train_tokenizer
from flywheel.deployment.workload_text import workload_text
from flywheel.drift.compare import compare
from flywheel.drift.merged import read_parts, read_profile
from flywheel.drift.window import Window
from flywheel.evaluate.evidence import PairedAccuracy
from flywheel.evaluate.floors import judge_labels
from flywheel.evaluate.paired import PairedCounts
from flywheel.lake.store import Lake
from flywheel.release.card_facts import read_card_facts
from flywheel.review.label_studio.labeling_config import labeling_config
from flywheel.serve.local_server import LocalModelServer
from flywheel.serve.mask import AnswerMask
from flywheel.state import Release
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.files import load_workload
from flywheel.workload.model import Workload
from flywheel.workload.prompt import render_prompt
from flywheel.workload.taxonomy_change import write_taxonomy

__all__ = ["Steps", "label_steps"]

Steps = Iterator[tuple[str, Callable[[], object]]]
_ROWS = 64
_RELEASE = Release(
    release="r",
    workload_id="bench",
    cycle="2026Q1-1",
    attempt=1,
    status="candidate",
    version=None,
    replaced=None,
    manifest_digest="",
    adapter="",
    dataset_hash="",
    facts={},
    steps={},
    created_at=NOW,
    promoted_at=None,
)


def label_steps(folder: Path, count: int) -> Steps:
    """Yield each step of a taxonomy of so many labels, with its name."""
    path = folder / "bench.yaml"
    topics = ("late parcel", "lost card", "wrong invoice", "login")
    names = [f"{topic} {number:04d}" for number in range(count // 4) for topic in topics]
    text = workload_text("bench", owner="bench", labels=names)
    yield "file written (init)", lambda: workload_text("bench", owner="bench", labels=names)
    path.write_text(text)
    yield "file loaded", lambda: load_workload(path)
    workload = load_workload(path)
    taxonomy = workload.taxonomy
    assert taxonomy is not None
    codec = AnswerCodec(workload, {label.id: label.name for label in taxonomy.labels})
    answers = [codec.encode(label.name) for label in taxonomy.active[:: count // 100]]
    yield "100 answers read", lambda: [codec.decode(answer) for answer in answers]
    yield from _mask(codec, workload, names)
    yield from _training(folder, workload)
    yield "form of the annotators", lambda: labeling_config(workload)
    pairs = {
        label.id: PairedAccuracy(PairedCounts(8, number % 3, number % 2), 6)
        for number, label in enumerate(taxonomy.active)
    }
    yield "floors of the labels", lambda: judge_labels(workload.gates, pairs)
    lake = Lake(folder / "lake")
    opened = OpenedWorkload(CycleRef(workload.id, "2026Q1-1"), workload)
    lake.append("evaluations", case_rows(workload.id, [one.id for one in taxonomy.active], names))
    yield (
        "labels and confusions of the card, 2 cases a label",
        lambda: read_card_facts(lake, opened, _RELEASE),
    )
    lake.append("profiles", profile_rows("bench", days=56, categories=count))
    yield "drift of categories", lambda: _drift(lake, workload)
    first = taxonomy.labels[0].model_copy(update={"name": "renamed"})
    renamed = taxonomy.model_copy(
        update={"version": taxonomy.version + 1, "labels": (first, *taxonomy.labels[1:])}
    )
    yield "a label renamed in the file", lambda: write_taxonomy(path, renamed)


def _mask(codec: AnswerCodec, workload: Workload, names: list[str]) -> Steps:
    import llguidance.hf

    surfaces = label_surfaces(workload)
    answers = [*surfaces.values(), *reserved_surfaces(8, surfaces)]
    yield "tokenizer of a tiny base", lambda: train_tokenizer(names, (), answers, vocabulary=2_000)
    tokenizer = train_tokenizer(names, (), answers, vocabulary=2_000)
    size = len(tokenizer)
    guide = llguidance.hf.from_tokenizer(tokenizer, n_vocab=size)
    # Names in full and one token a label: the longest answers and the widest choice.
    for kind, made in (("names", codec), ("tokens", AnswerCodec(workload, surfaces))):
        yield f"mask over {kind}, 20 answers", partial(_walk, made, guide, tokenizer, size)


def _walk(codec: AnswerCodec, guide: Any, tokenizer: Any, size: int) -> None:
    mask = AnswerMask(codec, guide, size)
    for answer in codec.choices[:: max(1, len(codec.choices) // 20)]:
        node = mask.root
        for token in tokenizer.encode(answer, add_special_tokens=False):
            node = mask.after(node, token)


def _drift(lake: Lake, workload: Workload) -> None:
    end = NOW.date()
    old = read_profile(lake, workload, Window(end - timedelta(days=56), end - timedelta(days=28)))
    new = read_profile(lake, workload, Window(end - timedelta(days=28), end))
    parts = read_parts(
        lake, workload, Window(end - timedelta(days=56), end - timedelta(days=28)), days=7
    )
    compare(workload, old, new, parts=list(parts.values()))


def _training(folder: Path, workload: Workload) -> Steps:
    quiet_libraries()
    workload = workload.model_copy(update={"prompt": "{input}\nTopic: "})  # tiny has no chat
    labels = workload.label_names.values()
    texts = [f"our {name} came again, please help" for name in labels]
    build = partial(
        build_base,
        "tiny",
        workload=workload,
        texts=texts,
        cache=folder / "bases",
        size=replace(TINY, steps=1),
    )
    yield "tiny base with a token a label", build
    base = build()
    codec = base.codec(workload)
    yield (
        "100 prompts",
        lambda: [render_prompt(workload, text, codec=codec) for text in texts[:100]],
    )
    records: list[LabeledRow] = [
        {"inference_id": f"row-{number}", "input": text, "output": name}
        for number, (text, name) in enumerate(zip(texts, labels, strict=True))
    ]
    work = TrainingWork(folder, workload, base, records[:: len(texts) // _ROWS][:_ROWS])
    yield f"{_ROWS} rows trained", lambda: work.ours().train()
    server = LocalModelServer(base.folder)
    server.answer("base", codec, texts[:1])  # the mask is made once
    yield "64 answers", lambda: server.answer("base", codec, texts[:64])

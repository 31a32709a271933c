"""A small workload from an opened cycle to an approved candidate, all real but the model server."""

import hashlib
import itertools
import json
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flywheel.artifacts.adapter_folder import verify_adapter, write_manifest
from flywheel.artifacts.base_folder import BaseModel
from flywheel.artifacts.gate_report import GateReport
from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.artifacts.snapshot import SPLITS, content_hash
from flywheel.clock import ManualClock
from flywheel.evaluate.run import run_gate
from flywheel.lake.store import Lake
from flywheel.ports.train_launcher import TrainProgress, TrainResult, TrainSpec
from flywheel.release.advance import ReleaseMove, advance_release
from flywheel.release.approval import approve
from flywheel.release.candidate import record_candidate
from flywheel.release.look import Look, LookOutcome
from flywheel.release.promotion import Promotion, promote
from flywheel.release.registry import MlflowRegistry
from flywheel.settings import Settings
from flywheel.state import Approval, Cycle, Release, Stage, State
from flywheel.wiring import Platform
from flywheel.workload.answers import AnswerCodec, assign_surfaces
from flywheel.workload.model import Workload
from flywheel.workload.prompt import render_prompt
from tests.fakes.defect_workload import LABELS, make_workload
from tests.fakes.model_server import FakeModelServer
from tests.fakes.registry import MemoryRegistry

__all__ = ["START", "ReleaseWorld", "make_workload", "rows_for", "write_snapshot"]

START = datetime(2026, 4, 1, 6, tzinfo=UTC)
_numbers = itertools.count()


def rows_for(workload: Workload, split: str, count: int) -> list[dict[str, Any]]:
    """Make rows whose label is written at the end of the input."""
    rows = []
    for number in range(count):
        label = LABELS[number % len(LABELS)]
        text = f"{split} {number} {label}"
        rows.append(
            {
                "inference_id": f"{split}-{number}",
                "correction_id": f"c-{split}-{number}",
                "input": text,
                "prompt": render_prompt(workload, text).text,
                "completion": label,
                "output": label,
                "label_id": label,
            }
        )
    return rows


def write_snapshot(
    root: Path, workload: Workload, cycle: str, splits: dict[str, list[dict[str, Any]]]
) -> Path:
    """Write a dataset folder as the dataset stage does and return it."""
    files = {
        split: "".join(json.dumps(row) + "\n" for row in splits.get(split, [])).encode()
        for split in SPLITS
    }
    name = content_hash(files, workload.taxonomy_version)
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    for split, content in files.items():
        (folder / f"{split}.jsonl").write_bytes(content)
    manifest = {
        "hash": name,
        "workload_id": workload.id,
        "cycle": cycle,
        "taxonomy_version": workload.taxonomy_version,
        "counts": {split: len(rows) for split, rows in splits.items()},
        "exclusions": {},
        "files": {
            f"{split}.jsonl": hashlib.sha256(content).hexdigest()
            for split, content in files.items()
        },
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def right(text: str) -> str:
    """Answer the label at the end of the input."""
    return text.rsplit(maxsplit=1)[-1]


class ReleaseWorld:
    """One workload on its own state and lake; releases answer what ``train`` tells them."""

    def __init__(
        self, root: Path, registry: MlflowRegistry, url: str | None = None, **changes: Any
    ) -> None:
        self.root = root
        self.registry = registry
        self.clock = ManualClock(START)
        self.workload = make_workload(f"defects{next(_numbers)}", **changes)
        self.lake = Lake(root / "lake")
        self.url = url or f"sqlite:///{root / 'state.db'}"
        self.state = State.open(self.url, self.clock, home=root)
        self.server: Any = FakeModelServer({"base": lambda _: "dent"})
        # A real server serves a real base and adapters like this one.
        self.base: BaseModel | None = None
        self.adapter: Path | None = None

    @property
    def codec(self) -> AnswerCodec:
        """Write answers by their names, or as the real base does."""
        known, reserved = (self.base.surfaces, self.base.reserved) if self.base else ({}, ())
        return AnswerCodec(self.workload, assign_surfaces(self.workload, known, reserved))

    @property
    def base_digest(self) -> str:
        """The digest of the base that adapters are trained on."""
        return self.base.digest if self.base else "b" * 64

    def leave(self) -> dict[str, Any]:
        """Close, and return what is in no file: for `resume`, in this folder or a copy of it."""
        self.close()
        loaded = {name: path.relative_to(self.root) for name, path in self.server.loaded.items()}
        return {
            "workload": self.workload,
            "now": self.clock.now(),
            "replies": self.server.replies,
            "loaded": loaded,
            "registry": self.registry.remembered(),
        }

    @classmethod
    def resume(cls, root: Path, left: dict[str, Any]) -> "ReleaseWorld":
        """Go on, on a registry in memory, with what `leave` returned."""
        registry = MemoryRegistry(root)
        registry.remember(left["registry"])
        world = cls(root, registry)
        world.workload = left["workload"]
        world.clock.move_to(left["now"])
        world.server = FakeModelServer(left["replies"])
        world.server.loaded = {name: root / path for name, path in left["loaded"].items()}
        return world

    def close(self) -> None:
        """Let go of lake and state."""
        self.lake.close()
        self.state.close()

    def open_cycle(self, trigger: str = "manual", opened_by: str = "system") -> Cycle:
        """Open a cycle with the workload as its snapshot."""
        return self.state.cycles.open(
            self.workload,
            trigger=trigger,
            opened_by=opened_by,
            reason="a test asks for it",
            watermark=self.clock.now(),
            snapshot=self.workload.model_dump(mode="json", by_alias=True),
        )

    def train(
        self,
        cycle: Cycle,
        release: str,
        wrong: Sequence[str] = (),
        golden: int = 90,
        *,
        progress: Sequence[TrainProgress] = (),
        again: bool = False,
    ) -> Release:
        """Leave what a training leaves; the release answers right but on the ``wrong`` inputs."""
        splits = {name: rows_for(self.workload, name, 6) for name in ("train", "must_not_lose")}
        for row in splits["must_not_lose"]:
            row["named"] = row["inference_id"] in self.workload.gates.must_hold
        splits["golden"] = rows_for(self.workload, "golden", golden)
        splits["holdout"] = rows_for(self.workload, "holdout", 60)
        splits["train"] += [{**splits["train"][0], "inference_id": release}]
        datasets = self.root / "datasets" / self.workload.id
        dataset = write_snapshot(datasets, self.workload, cycle.name, splits)
        attempt = self.state.cycles.attempt(cycle.ref).number
        out = self.root / "runs" / release
        adapter = out / "adapter"
        digest = self._write_adapter(adapter, release, again=again)
        spec = TrainSpec(
            release=release,
            workload=self.workload,
            cycle=cycle.name,
            attempt=attempt,
            base_folder=self.root / "base",
            base_digest=self.base_digest,
            surfaces={},
            dataset_folder=dataset,
            dataset_hash=dataset.name,
            recipe=self.workload.training,
            seed=1,
        )
        result = TrainResult(
            status="succeeded",
            release=release,
            adapter="adapter",
            manifest_digest=digest,
            dataset_hash=dataset.name,
            base_digest=self.base_digest,
            metrics={"loss": 0.1},
        )
        self.answer_as(release, wrong)
        point = TrainProgress(
            step=1, steps=1, epoch=1.0, loss=0.1, tokens_per_second=100.0, seconds=1.0
        )
        curve = progress or [point]
        return record_candidate(self.state, self.registry, spec, result, out, progress=curve)

    def answer_as(self, release: str, wrong: Sequence[str] = ()) -> None:
        """Let a release answer right but on the ``wrong`` inputs; a real server needs no word."""
        if isinstance(self.server, FakeModelServer):
            self.server.replies[release] = lambda text: "stain" if text in wrong else right(text)

    def _write_adapter(self, folder: Path, release: str, *, again: bool) -> str:
        if self.adapter is not None:
            shutil.copytree(self.adapter, folder)
            return verify_adapter(folder, base_digest=self.base_digest)
        folder.mkdir(parents=True, exist_ok=again)
        (folder / "adapter_model.safetensors").write_bytes(release.encode())
        return write_manifest(folder, {"release": release, "base_digest": self.base_digest})

    def gate(
        self,
        cycle: Cycle,
        release: str,
        *,
        again: bool = False,
        on_progress: Callable[[str, int, int], None] | None = None,
    ) -> GateReport:
        """Run the whole gate."""
        known = self.state.releases.get(release)
        return run_gate(
            self.lake,
            self.state,
            self.server,
            OpenedWorkload(cycle.ref, self.workload),
            attempt=known.attempt,
            candidate=release,
            dataset=known.lineage.dataset_folder,
            codec=self.codec,
            folder=self.root / "runs" / release,
            again=again,
            on_progress=on_progress,
        )

    def approve(self, cycle: Cycle, actor: str = "simulated:bob") -> Approval:
        """Approve as somebody who did not ask for the cycle."""
        return approve(self.state, cycle.ref, actor=actor, reason="good figures")

    def judged(self, release: str, **how: Any) -> Cycle:
        """Open a cycle and bring its candidate up to the gate's verdict."""
        cycle = self.open_cycle()
        self.train(cycle, release, **how)
        self.gate(cycle, release)
        return cycle

    def approved(self, release: str, **how: Any) -> Cycle:
        """Bring a candidate up to its approval."""
        cycle = self.judged(release, **how)
        self.approve(cycle)
        return cycle

    def promote(self, cycle: Cycle, **how: Any) -> Promotion:
        """Promote the approved candidate."""
        return promote(
            self.state,
            self.lake,
            self.server,
            self.registry,
            cycle.ref,
            codec=self.codec,
            **how,
        )

    def promoted(self, release: str) -> Cycle:
        """Bring a candidate to the champion's place; time passes, so that cycles differ."""
        cycle = self.approved(release)
        self.promote(cycle)
        self.clock.move_to(self.clock.now().replace(hour=self.clock.now().hour + 1))
        return cycle

    def platform(self) -> Platform:
        """Return the world as the use cases see it; its workload files are in ``workloads``."""
        settings = Settings(
            home=self.root,
            workloads=self.root / "workloads",
            model_server="vllm",
            vllm_url="http://127.0.0.1:9",
            drain_seconds=0,
        )
        return Platform(
            settings,
            self.clock,
            lake=self.lake,
            state=self.state,
            registry=self.registry,
            model_server=lambda _: self.server,
        )

    def stage(self) -> Stage:
        """Return the stage that a release is in."""
        stage = self.state.stages.current(self.workload.id)
        assert stage is not None
        return stage

    def pass_days(self, days: float) -> None:
        """Move the clock on."""
        self.clock.move_to(self.clock.now() + timedelta(days=days))

    def advance(
        self, outcome: LookOutcome = "go_on", answers: int = 1_000, **how: Any
    ) -> ReleaseMove:
        """Look at the release in a stage and do what follows."""
        return advance_release(
            self.state,
            lambda: self.server,
            lambda: self.registry,
            how.pop("stage", None) or self.stage(),
            Look(outcome, f"{outcome} by the figures", answers, {"answers": answers}),
            codec=lambda: self.codec,
            **how,
        )

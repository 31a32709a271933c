"""A vLLM on one base with adapters made up on the spot, and clients that never stop asking."""

import secrets
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flywheel.artifacts.adapter_folder import verify_adapter, write_manifest
from flywheel.artifacts.base_folder import BaseModel
from flywheel.artifacts.references import Lineage
from flywheel.basemodel import build_base
from flywheel.clock import SystemClock
from flywheel.errors import FlywheelError
from flywheel.ports.model_server import BASE_RELEASE
from flywheel.release.serving import swap, unload_retired
from flywheel.serve.vllm_server import VllmModelServer
from flywheel.services import Services, start
from flywheel.services.vllm import serving_needs, vllm_application
from flywheel.settings import load_settings
from flywheel.simulation.traffic import generate
from flywheel.state import Cycle, State
from flywheel.usecases.answering import ChampionClient
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.files import load_workloads
from flywheel.workload.model import Workload

__all__ = ["AskedClient", "Plane", "serving_plane"]

_WORKLOADS = Path(__file__).parent.parent / "deploy" / "workloads"
_START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Plane:
    """The parts of one run."""

    base: BaseModel
    workload: Workload
    codec: AnswerCodec
    texts: list[str]
    server: VllmModelServer
    state: State
    cycle: Cycle
    root: Path
    services: Services

    def adapter(self, seed: int) -> Path:
        """Make an adapter of rank 16 on every linear layer, of random weights."""
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        folder = self.root / f"adapter-{seed}"
        if folder.exists():
            return folder
        torch.manual_seed(seed)
        model: Any = AutoModelForCausalLM.from_pretrained(self.base.folder)
        config: Any = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear")
        made = get_peft_model(model, config)
        for name, weight in made.named_parameters():
            if "lora_B" in name:
                weight.data.normal_(std=0.01)
        made.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        write_manifest(folder, {"base_digest": self.base.digest})
        return folder

    def record(self, release: str, adapter: Path) -> None:
        """Record a release as trained and judged."""
        self.state.releases.record(
            release,
            cycle=self.cycle.ref,
            attempt=1,
            manifest_digest=verify_adapter(adapter),
            adapter=str(adapter),
            dataset_hash="0" * 64,
            lineage=Lineage(
                dataset_folder=adapter.parent,
                base_digest=self.base.digest,
                task_digest="",
                taxonomy_version=1,
                run_id="",
            ),
        )

    def swap(self, release: str, adapter: Path) -> None:
        """Let a recorded release answer, as a promotion does, and unload what it replaced."""
        with self.state.leases.hold(f"champion:{self.workload.id}") as lease:

            def switch() -> None:
                before = self.state.routes.champion(self.workload.id)
                with self.state.transaction():
                    self.state.routes.switch_champion(
                        self.workload.id,
                        expected=before,
                        release=release,
                        reason="a benchmark",
                        lease=lease,
                    )
                    self.state.releases.change(release, status="champion")
                    if before != BASE_RELEASE:
                        self.state.releases.change(before, status="retired")

            swap(self.server, release, adapter, switch=switch)

    def unload_retired(self, drain_seconds: float) -> None:
        """Unload what was replaced, once those who read the route before had time to ask."""
        unload_retired(self.state, self.server, self.workload.id, drain_seconds=drain_seconds)


@dataclass
class AskedClient:
    """Asks the champion one question after the other in a thread of its own."""

    client: ChampionClient
    texts: Sequence[str]
    releases: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    again: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to ask."""
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the answer under way."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            try:
                served = self.client.ask([self.texts[number % len(self.texts)]])
            except FlywheelError as error:
                self.failed.append(str(error))
                continue
            self.releases.append(served.release)
            self.again += served.attempts - 1
            self.failed += [a.error for a in served.answers if a.error is not None]


@contextmanager
def serving_plane(base_name: str) -> Iterator[Plane]:
    """Start a vLLM on a base model of the demo's workload, ``tiny`` or ``smollm2``."""
    settings = load_settings(profile="embedded")
    workload = load_workloads(_WORKLOADS)["defect_reports"]
    workload = workload.model_copy(update={"base_model": base_name})
    calls = generate(
        workload, start=_START, end=_START.replace(day=8), per_day=300, seed=1, drift=None
    )
    texts = [call.text for call in calls]
    base = build_base(
        base_name, workload=workload, texts=texts, cache=settings.cache.absolute(), seed=1
    )
    codec = base.codec(workload)
    needs = serving_needs([workload, workload])
    with (
        tempfile.TemporaryDirectory() as root,
        start(settings, [], ephemeral=True) as services,
    ):
        application = vllm_application(
            base.folder,
            needs,
            folder=services.folder / "vllm",
            port=services.port("vllm", 0),
            token=secrets.token_hex(16),
            cache=settings.cache,
            cache_gb=settings.vllm_cache_gb,
        )
        services.run([application])
        found = services.connections
        server = VllmModelServer(base.folder, str(found.vllm_url), found.vllm_token)
        state = State.open(f"sqlite:///{root}/state.db", SystemClock())
        cycle = _open_cycle(state, workload)
        yield Plane(base, workload, codec, texts, server, state, cycle, Path(root), services)
        server.close()
        state.close()


def _open_cycle(state: State, workload: Workload) -> Cycle:
    return state.cycles.open(
        workload,
        trigger="manual",
        opened_by="bench",
        reason="a benchmark",
        watermark=state.clock.now(),
        snapshot=workload.model_dump(mode="json", by_alias=True),
    )

"""What a training leaves in the state, without the training: for tests of what comes after it."""

from dataclasses import replace

from flywheel.artifacts.adapter_folder import write_manifest
from flywheel.artifacts.references import CandidateRef
from flywheel.artifacts.snapshot import Snapshot
from flywheel.state import Cycle
from flywheel.wiring import Platform
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.model import Workload
from tests.fakes.state_rows import LINEAGE

__all__ = ["stand_in_release"]


def stand_in_release(
    platform: Platform, workload: Workload, cycle: Cycle, snapshot: Snapshot
) -> tuple[str, AnswerCodec]:
    """Record a candidate of the cycle's first attempt; return its name and how it writes answers."""
    name = f"{workload.id}.{cycle.name}.standin"
    adapter = platform.home / "runs" / name
    adapter.mkdir(parents=True)
    digest = write_manifest(adapter, {"release": name, "base_digest": "b" * 64})
    platform.state.releases.record(
        name,
        cycle=cycle.ref,
        attempt=1,
        manifest_digest=digest,
        adapter=str(adapter),
        dataset_hash=snapshot.hash,
        lineage=replace(LINEAGE, taxonomy_version=workload.taxonomy_version),
    )
    candidate = CandidateRef(name, digest, snapshot.hash, "run")
    platform.state.attempts.record(cycle.ref, 1, candidate)
    return name, AnswerCodec(workload, {})

"""`LINEAGE` and `RELEASE`, a promoted release as the state returns it, and `put_champion`."""

from datetime import datetime
from pathlib import Path

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.references import Lineage
from flywheel.state import Release, State
from tests.fakes.release_world import START, make_workload

__all__ = ["LINEAGE", "RELEASE", "put_champion"]

LINEAGE = Lineage(
    dataset_folder=Path("/datasets/d"),
    base_digest="b",
    task_digest="t",
    taxonomy_version=2,
    run_id="run",
)

RELEASE = Release(
    release="r1",
    workload_id="w",
    cycle="2026Q2-1",
    attempt=1,
    status="champion",
    version="1.0.0",
    replaced="base",
    manifest_digest="m",
    adapter="",
    dataset_hash="d",
    facts=LINEAGE.to_facts(),
    steps={},
    created_at=START,
    promoted_at=START,
)


def put_champion(
    state: State, workload_id: str, release: str, *, promoted_at: datetime | None = None
) -> None:
    """Make a release the champion: by a promotion at that moment, or by a rollback without one."""
    if promoted_at is not None:
        state.releases.record(
            release,
            cycle=_a_cycle(state, workload_id),
            attempt=1,
            manifest_digest=release,
            adapter=f"runs/{release}",
            dataset_hash="d",
        )
        state.releases.change(release, status="champion", promoted_at=promoted_at)
    with state.leases.hold(f"promotion:{workload_id}", None, 60.0) as lease:
        state.routes.switch_champion(
            workload_id,
            expected=state.routes.champion(workload_id),
            release=release,
            reason="test",
            lease=lease,
        )


def _a_cycle(state: State, workload_id: str) -> CycleRef:
    cycles = state.cycles.of(workload_id)
    if cycles:
        return cycles[0].ref
    cycle = state.cycles.open(
        make_workload(workload_id),
        trigger="manual",
        opened_by="system",
        reason="test",
        watermark=state.clock.now(),
        snapshot={},
    )
    state.cycles.set_status(cycle.ref, "stopped", "test")
    return cycle.ref

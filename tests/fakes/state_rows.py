"""`RELEASE`: a promoted release as the state returns it; tests replace what they are about."""

from flywheel.state import Release
from tests.fakes.release_world import START

__all__ = ["RELEASE"]

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
    facts={},
    steps={},
    created_at=START,
    promoted_at=START,
)

"""`prepare_deployment`: what several programs would make at the same moment, made by one of them."""

from collections.abc import Callable

from flywheel.orchestration.instance import DagsterHome, open_instance, prepare_dagster_home
from flywheel.orchestration.workers import fail_orphaned_runs
from flywheel.settings import Settings
from flywheel.usecases.topics import make_topics
from flywheel.wiring import Platform

__all__ = ["PREPARE_LEASE", "prepare_deployment"]

PREPARE_LEASE = "prepare"
_SECONDS = 300.0


def prepare_deployment(
    settings: Settings,
    on_progress: Callable[[str], None] = lambda _: None,
    *,
    fail_orphaned: bool = False,
) -> DagsterHome:
    """Make topics, schema and Dagster's folder, before several programs would at a time.

    Safe to repeat. One process at a time, by a lease: two that make Dagster's tables at the same
    moment break them.

    Args:
        settings: Where they are.
        on_progress: Told what is not as declared and was left alone.
        fail_orphaned: Report runs of killed processes as failed; only while nothing else runs.

    Raises:
        ConcurrencyError: Another process prepares this deployment.
    """
    platform = Platform(settings)
    try:
        with platform.state.leases.hold(PREPARE_LEASE, None, _SECONDS):
            return _prepare(platform, on_progress, fail_orphaned=fail_orphaned)
    finally:
        platform.close()


def _prepare(
    platform: Platform, on_progress: Callable[[str], None], *, fail_orphaned: bool
) -> DagsterHome:
    for topic in make_topics(platform):
        for name, (declared, actual) in topic.differences.items():
            on_progress(f"{topic.name}: {name} is {actual}, declared is {declared}; left alone")
    home = prepare_dagster_home(platform.settings)
    if home.note is not None:
        on_progress(home.note)
    with open_instance(home) as instance:
        if fail_orphaned:
            fail_orphaned_runs(instance)
    return home

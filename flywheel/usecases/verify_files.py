"""`store_checks` and `workload_checks`: databases, lake, datasets, queue, adapters, base models."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.errors import IntegrityError, NotFoundError

if TYPE_CHECKING:
    from flywheel.lake.verified_files import VerifiedFiles
    from flywheel.state import Release
    from flywheel.wiring import Platform
    from flywheel.workload.folder import WorkloadProblem
    from flywheel.workload.model import Workload

__all__ = ["is_state_gone", "store_checks", "workload_checks"]

_DATABASES = {
    "state.db": "state_url",
    "log.db": "kafka_servers",
    "mlflow/mlflow.db": "mlflow_url",
    "lake/digests.db": None,
}
_SHOWN = 3


def store_checks(platform: "Platform", *, full: bool = False) -> dict[str, Callable[[], str]]:
    """Return one check per database, table and dataset, none of which opens the state.

    Each check returns a sentence or raises what is wrong. With ``full`` every data file of the lake
    is read, else those that no earlier check read or that were touched since.
    """
    from flywheel.lake.tables import TABLES
    from flywheel.lake.verified_files import VerifiedFiles

    verified = None if full else VerifiedFiles(platform.lake.location.local)

    checks: dict[str, Callable[[], str]] = {}
    for name, setting in _DATABASES.items():
        if _exists(platform, name) or _is_missed(platform, name, setting):
            checks[f"database {name}"] = partial(_database, platform.home / name)
    for table in TABLES:
        checks[f"lake {table}"] = partial(_table, platform, table, verified)
    for manifest in sorted((platform.home / "datasets").glob("*/*/manifest.json")):
        name = f"dataset {manifest.parent.parent.name}/{manifest.parent.name[:12]}"
        checks[name] = partial(_snapshot, manifest.parent)
    for folder in sorted((platform.home / "datasets").glob("*/[!.]*")):
        if folder.is_dir() and not (folder / "manifest.json").exists():
            checks[f"dataset {folder.parent.name}/{folder.name[:12]}"] = partial(_snapshot, folder)
    return checks


def workload_checks(platform: "Platform") -> dict[str, Callable[[], str]]:
    """Return one check per base model, queue and adapter of the workloads, as above."""
    checks: dict[str, Callable[[], str]] = {}
    folder = platform.workload_folder
    for problem in folder.problems.values():
        checks[f"workload {problem.workload_id}"] = partial(_not_loaded, problem)
    for workload in folder.workloads.values():
        checks[f"base of {workload.id}"] = partial(_base, platform, workload)
        if platform.settings.review_queue == "local":
            checks[f"queue of {workload.id}"] = partial(_queue, platform, workload)
        else:
            checks[f"Label Studio of {workload.id}"] = partial(_project, platform, workload)
    for workload_id in (*folder.workloads, *folder.problems):
        for release in _releases(platform, workload_id):
            checks[f"release {release.release}"] = partial(_adapter, platform, release)
    return checks


def _not_loaded(problem: "WorkloadProblem") -> str:
    raise problem.error


def is_state_gone(platform: "Platform") -> bool:
    """Return whether there are decisions' files without the state that explains them."""
    return _is_missed(platform, "state.db", "state_url") and not _exists(platform, "state.db")


def _exists(platform: "Platform", name: str) -> bool:
    return (platform.home / name).exists()


def _is_missed(platform: "Platform", name: str, setting: str | None) -> bool:
    # A lake without the log that it was filled from, runs without the state that explains them. A
    # deployment that only ingests has no state yet.
    traces = {"state.db": ("audit_heads.jsonl", "datasets", "runs"), "log.db": ("lake/inferences",)}
    if setting is None or getattr(platform.settings, setting) is not None:
        return False
    return any(_exists(platform, trace) for trace in traces.get(name, ()))


def _releases(platform: "Platform", workload_id: str) -> "list[Release]":
    # A state that cannot be read is a finding of the decisions; the files are looked at all the
    # same.
    try:
        return platform.state.releases.of(workload_id)
    except Exception:  # noqa: BLE001 - (as above)
        return []


def _database(path: Path) -> str:
    from flywheel.io.sqlite_file import integrity_problem

    if not path.exists():
        raise IntegrityError(f"{path} is gone.", next_step="restore it from a backup")
    problem = integrity_problem(path)
    if problem is not None:
        raise IntegrityError(f"{path} is damaged: {problem}", next_step="restore it from a backup")
    return "sound"


def _table(platform: "Platform", name: str, verified: "VerifiedFiles | None") -> str:
    from flywheel.lake.check import check_table

    problems = check_table(platform.lake, name, verified)
    return "nothing written yet" if problems is None else problems.sentence()


def _snapshot(folder: Path) -> str:
    from flywheel.artifacts.snapshot import verify_snapshot

    try:
        verify_snapshot(folder)
    except NotFoundError as error:
        raise IntegrityError(f"{folder} has no manifest.", next_step=error.next_step) from error
    return "unchanged"


def _adapter(platform: "Platform", release: "Release") -> str:
    from flywheel.artifacts.adapter_folder import MANIFEST, verify_adapter

    name = platform.artifacts.name_of(Path(release.adapter))
    if platform.artifacts.are_published and name and not Path(release.adapter).exists():
        # Its files are checked where they are published; a check does not bring them here.
        listing = platform.artifacts.store.listing(name)
        if listing is None or listing.files[MANIFEST].sha256 != release.manifest_digest:
            raise IntegrityError("neither this home nor the object store holds it as recorded")
        return "published, not in this home"
    if verify_adapter(Path(release.adapter)) != release.manifest_digest:
        raise IntegrityError("another adapter than the one recorded")
    return "unchanged"


def _base(platform: "Platform", workload: "Workload") -> str:
    from flywheel.basemodel import load_base

    try:
        base = platform.base(workload)
    except NotFoundError as error:
        if _releases(platform, workload.id):
            raise
        return f"not built yet ({error.message})"
    load_base(base.folder, verify=True)
    trained = {
        release.release
        for release in _releases(platform, workload.id)
        if release.release == platform.state.routes.champion(workload.id)
        and release.recorded_lineage is not None
        and release.recorded_lineage.base_digest != base.digest
    }
    if not trained:
        return f"{base.name}, unchanged"
    champion = trained.pop()
    lineage = platform.state.releases.get(champion).lineage
    try:
        other = platform.bases.with_digest(lineage.base_digest)
    except NotFoundError as error:
        raise IntegrityError(
            f"{base.name} is not the base that {champion} was trained on.",
            next_step=error.next_step,
        ) from error
    load_base(other.folder, verify=True)
    return f"{base.name}, unchanged; {champion} answers on {other.name}, unchanged"


def _project(platform: "Platform", workload: "Workload") -> str:
    from flywheel.review.label_studio.project_check import check_project

    problems = check_project(platform.label_studio, platform.lake, workload)
    if problems.problems:
        raise IntegrityError("; ".join(problems.problems))
    return f"{problems.tasks} tasks, as they were sent"


def _queue(platform: "Platform", workload: "Workload") -> str:
    from flywheel.review.queues.queue_check import check_queue

    problems = check_queue(platform.home / "queue" / workload.id, platform.lake, workload.id)
    if problems.problems:
        more = len(problems.problems) - _SHOWN
        tail = f", and {more} more" if more > 0 else ""
        raise IntegrityError(f"{', '.join(problems.problems[:_SHOWN])}{tail}")
    return f"{problems.items} items, as they were sent"

"""`list_bases` and `verify_bases`: on which base model each workload stands, and where it came from."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.errors import FlywheelError

if TYPE_CHECKING:
    from flywheel.artifacts.base_manifest import BaseFile
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["WorkloadBase", "base_of", "list_bases", "verify_bases"]


@dataclass(frozen=True)
class WorkloadBase:
    """The base of one workload; ``problem`` says why it does not train, judge or serve."""

    workload_id: str
    name: str
    digest: str | None = None
    origin: str | None = None
    revision: str | None = None
    license: str | None = None
    bytes: int = 0
    folder: Path | None = None
    files: "tuple[BaseFile, ...]" = ()
    problem: str | None = None


def list_bases(platform: "Platform") -> list[WorkloadBase]:
    """Return the base of every workload; one that cannot be used stops no other."""
    return [_looked_at(platform, one) for one in _with_tiers(platform)]


def base_of(platform: "Platform", workload: "Workload") -> WorkloadBase:
    """Return the base of one workload, with every file of it.

    Raises:
        NotFoundError: none was built.
        IntegrityError: it was changed.
        RefusedError: the settings do not allow it.
    """
    base = platform.base(workload)
    manifest = base.manifest
    assert manifest is not None  # a base that was loaded has one
    return WorkloadBase(
        workload_id=workload.id,
        name=base.name,
        digest=base.digest,
        origin=manifest.origin,
        revision=manifest.revision,
        license=manifest.license,
        bytes=sum(file.size for file in manifest.files),
        folder=base.folder,
        files=manifest.files,
    )


def verify_bases(platform: "Platform", workload_id: str | None = None) -> list[WorkloadBase]:
    """Read every byte of the workloads' bases again; problems are in what is returned."""
    chosen = [platform.workload(workload_id)] if workload_id else _with_tiers(platform)
    return [_looked_at(platform, workload, whole=True) for workload in chosen]


def _with_tiers(platform: "Platform") -> "list[Workload]":
    # A tier on a base of its own stands on it as a workload does.
    return [
        standing
        for one in platform.workload_folder.workloads.values()
        for standing in (
            one,
            *(one.on_tier(tier) for tier in one.further_models if tier.base_model),
        )
    ]


def _looked_at(platform: "Platform", workload: "Workload", *, whole: bool = False) -> WorkloadBase:
    from flywheel.artifacts.base_folder import load_base

    try:
        base = base_of(platform, workload)
        if whole and base.folder is not None:
            load_base(base.folder, verify=True)
    except FlywheelError as error:
        return WorkloadBase(workload.id, workload.base_model, problem=str(error))
    return base

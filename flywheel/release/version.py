"""The semantic version that a release gets at promotion.

Major: another base model, task or schema, so that an application must look. Minor: another version
of the taxonomy, so that answers may carry other labels. Patch: the same, trained on more data.
The first promotion is 1.0.0, and every promotion counts on from the highest version ever given,
also after a rollback: a version is never given twice.
"""

from collections.abc import Sequence

from flywheel.artifacts.references import Lineage
from flywheel.state import Release

__all__ = ["newest_release", "next_version"]


def newest_release(releases: Sequence[Release]) -> Release | None:
    """Return the release with the highest version, None where none has one."""
    versioned = [release for release in releases if release.version is not None]
    return max(versioned, key=lambda release: _parts(str(release.version)), default=None)


def next_version(newest: Release | None, candidate: Lineage) -> str:
    """Return the version for a candidate of this lineage.

    Args:
        newest: the release with the highest version so far.
        candidate: its base, task and taxonomy decide.
    """
    if newest is None:
        return "1.0.0"
    major, minor, patch = _parts(str(newest.version))
    before = newest.lineage
    if (candidate.base_digest, candidate.task_digest) != (before.base_digest, before.task_digest):
        return f"{major + 1}.0.0"
    if candidate.taxonomy_version != before.taxonomy_version:
        return f"{major}.{minor + 1}.0"
    return f"{major}.{minor}.{patch + 1}"


def _parts(version: str) -> tuple[int, int, int]:
    major, minor, patch = version.split(".")
    return int(major), int(minor), int(patch)

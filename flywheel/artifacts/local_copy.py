"""`bring_here`: an artifact that another machine made, in this home before it is read.

Where the lake lies in an object store, artifacts are published beside its tables, and a home holds
copies of those that its machine made or needed. Every function that opens an artifact asks here first,
so that no stage knows of it. A deployment whose lake is on a disk registers nothing.
"""

from pathlib import Path
from typing import Protocol

__all__ = ["ArtifactSource", "bring_here", "set_source"]


class ArtifactSource(Protocol):
    """Where the artifacts of a home are published."""

    def bring(self, path: Path, *, again: bool = False) -> None:
        """Fetch the artifact that a path of the home belongs to, where it is not there as published.

        `bring_here` calls it before each artifact is opened. A failure reaches the reader. A path of
        no artifact, and one that was never published, are left as they are.

        Args:
            path: an artifact, or something in it.
            again: compare also an artifact that never changes once it is there: what lies in the
                home is not what is asked for.
        """


_sources: dict[Path, ArtifactSource] = {}


def set_source(home: Path, source: ArtifactSource | None) -> None:
    """Say where the artifacts of a home are published, for this process; None: nowhere."""
    if source is None:
        _sources.pop(home.absolute(), None)
    else:
        _sources[home.absolute()] = source


def bring_here(path: Path, *, again: bool = False) -> None:
    """Fetch an artifact that its home lacks; nothing happens where artifacts are not published.

    Args:
        path: an artifact, or something in it.
        again: see `ArtifactSource.bring`.

    Raises:
        IntegrityError: what is published is not what was put there.
        UnavailableError: the object store does not answer.
    """
    if not _sources:
        return
    path = path.absolute()
    for home, source in tuple(_sources.items()):
        if path.is_relative_to(home):
            source.bring(path, again=again)

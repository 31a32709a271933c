"""`Listing`: the files that a published artifact consists of, as its list in the store names them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from flywheel.lake.digests import FileDigest, digest_of

__all__ = ["Listing", "listing_of", "parse_listing", "write_listing"]


@dataclass(frozen=True)
class Listing:
    """What an artifact consists of: digests by path below it; of a single file, by its name."""

    is_file: bool
    files: Mapping[str, FileDigest]


def listing_of(path: Path) -> Listing:
    """Read the digests of an artifact on the disk: a folder with everything in it, or a file."""
    if path.is_file():
        return Listing(is_file=True, files={path.name: digest_of(path)})
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return Listing(
        is_file=False,
        files={file.relative_to(path).as_posix(): digest_of(file) for file in files},
    )


def write_listing(listing: Listing) -> bytes:
    """Write a list as JSON."""
    files = [
        {"path": path, "size": digest.size, "sha256": digest.sha256}
        for path, digest in listing.files.items()
    ]
    record = {"format": 1, "is_file": listing.is_file, "files": files}
    return json.dumps(record, sort_keys=True).encode()


def parse_listing(content: bytes) -> Listing:
    """Read a list.

    Raises:
        ValueError: it is damaged, or names a file outside of the artifact; said as the end of a
            sentence about the artifact.
    """
    try:
        values = json.loads(content)
        files = {
            str(one["path"]): FileDigest(int(one["size"]), str(one["sha256"]))
            for one in values["files"]
        }
        is_file = bool(values["is_file"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"has a damaged list: {error}") from error
    for path, digest in files.items():
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or not digest.sha256.isalnum():
            raise ValueError(f"names a file outside of it: {path!r}")
    return Listing(is_file, files)

"""`ArtifactStore`: datasets, adapters, gate reports and base models beside a lake in an object store.

An artifact has the name that it has in the home. Its files lie below that name by their sha256, never
changed, and one list, written last and at once, says which of them it is: a reader sees the artifact
of before or the one of now, and whoever is killed while publishing has published nothing.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flywheel.errors import IntegrityError, UnavailableError
from flywheel.io.atomic import place
from flywheel.io.retry import BROKEN_OFF, retried
from flywheel.lake.artifact_listing import Listing, listing_of, parse_listing, write_listing
from flywheel.lake.digests import FileDigest
from flywheel.lake.location import LakeLocation
from flywheel.lake.object_path import ObjectPath

__all__ = ["ArtifactStore"]

_FOLDER = "_artifacts"
_LIST = "list.json"
_CHUNK = 1 << 20
_READS = 5
_RESTORE = (
    "materialize platform/maintenance on a machine that holds it, or restore it from a backup"
)


class ArtifactStore:
    """Publish, list, check and fetch artifacts by name; safe for several machines.

    Args:
        location: of the lake, in an object store.
    """

    def __init__(self, location: LakeLocation) -> None:
        root = location.root
        assert isinstance(root, ObjectPath)
        self._location = location
        self._root = root / _FOLDER

    def __str__(self) -> str:
        return str(self._root)

    def publish(self, name: str, path: Path) -> Listing:
        """Put an artifact under a name, where it takes the place of another one; return its list.

        Objects that are there with their size are not sent again. Those of a former artifact stay
        until `remove_former`.

        Raises:
            UnavailableError: the store does not answer; given again, it resumes where it stopped.
        """
        listing = listing_of(path)
        is_listed = self.listing(name) == listing
        with self._calls(f"{name} cannot be published"):
            sizes = dict((self._root / name).walk())
            for file, digest in listing.files.items():
                if sizes.get(digest.sha256) != digest.size:
                    self._put(name, path if listing.is_file else path / file, digest)
            if not is_listed:
                self._put_list(name, listing)
        return listing

    def mend(self, name: str, path: Path, *, content: bool) -> bool:
        """Put objects again that were lost or changed; return whether there were any.

        The list stays, and nothing is put where ``path`` holds another artifact than it names.

        Args:
            name: of the artifact.
            path: a copy of it on the disk.
            content: read every object, not its size alone.

        Raises:
            UnavailableError: the store does not answer; given again, it resumes where it stopped.
        """
        listing = self.listing(name)
        if listing is None:
            return False
        damaged = self._damaged(name, listing, content=content)
        if not damaged or listing_of(path) != listing:
            return False
        with self._calls(f"{name} cannot be published"):
            for file in damaged:
                self._put(name, path if listing.is_file else path / file, listing.files[file])
        return True

    def renew_list(self, name: str, path: Path) -> bool:
        """Write a damaged list again, from a copy whose files are those in the store, and no others.

        Returns:
            Whether it was damaged.

        Raises:
            IntegrityError: it is, and what it named is not known: the copy is another artifact than
                the one in the store, or that one lost files.
        """
        try:
            self.listing(name)
        except IntegrityError:
            listing = listing_of(path)
            named = {digest.sha256: digest.size for digest in listing.files.values()}
            with self._calls(f"the list of {name} cannot be written"):
                sizes = dict((self._root / name).walk())
                sizes.pop(_LIST, None)
                if sizes != named:
                    raise
                self._put_list(name, listing)
            return True
        return False

    def remove_former(self, name: str) -> None:
        """Delete the objects of an artifact that its list does not name any more."""
        listing = self.listing(name)
        named = set() if listing is None else {one.sha256 for one in listing.files.values()}
        with self._calls(f"what {name} held before cannot be removed"):
            for key, _ in list((self._root / name).walk()):
                if "/" not in key and key != _LIST and key not in named:
                    (self._root / name / key).remove()

    def listing(self, name: str) -> Listing | None:
        """Return the list of an artifact; None where none was published.

        Raises:
            IntegrityError: the list is damaged.
            UnavailableError: the store does not answer.
        """
        # Every use of an artifact begins here, also the first one after the store was started again.
        content = retried(lambda: self._list_content(name), BROKEN_OFF, UnavailableError)
        try:
            return None if content is None else parse_listing(content)
        except ValueError as error:
            raise _not_as_published(name, str(error)) from error

    def names(self, below: str = "") -> list[str]:
        """Return the names of all published artifacts, or of those below a folder of names."""
        root = self._root / below if below else self._root
        with self._calls("the published artifacts cannot be listed"):
            lists = [key for key, _ in root.walk() if key.endswith(f"/{_LIST}")]
        prefix = f"{below}/" if below else ""
        return sorted(prefix + key.removesuffix(f"/{_LIST}") for key in lists)

    def read(self, name: str, file: str) -> bytes:
        """Return the content of one file of an artifact.

        Raises:
            IntegrityError: there is no such file, or it is not what was published.
        """
        listing = self.listing(name)
        if listing is None or file not in listing.files:
            raise _not_as_published(name, f"has no {file}")
        digest = listing.files[file]
        with self._calls(f"{name} cannot be read"):
            try:
                content = (self._root / name / digest.sha256).read_bytes()
            except FileNotFoundError:
                raise _not_as_published(name, f"lacks {file}") from None
        if hashlib.sha256(content).hexdigest() != digest.sha256:
            raise _not_as_published(name, f"has another {file} than was published")
        return content

    def fetch(self, name: str, target: Path) -> bool:
        """Copy an artifact to a path, where it appears whole or not at all; False: none is published.

        A former folder of this name goes away when the new one has come; of two processes that fetch
        at once, one is kept.

        Raises:
            IntegrityError: an object is missing, or is not what was published; nothing appears.
            UnavailableError: the store does not answer.
        """
        for _ in range(_READS):
            listing = self.listing(name)
            if listing is None:
                return False
            try:
                self._fetch(name, listing, target)
            except IntegrityError:
                if self.listing(name) == listing:
                    raise
                continue  # it was published anew meanwhile, as an erasure does
            return True
        raise _not_as_published(name, "is published again and again")

    def problems(self, name: str, *, content: bool) -> list[str]:
        """Say how the objects of an artifact differ from its list.

        Args:
            name: of the artifact.
            content: read every object, not its size alone.
        """
        listing = self.listing(name)
        if listing is None:
            return ["is not published"]
        damaged = self._damaged(name, listing, content=content)
        return [f"{file} {problem}" for file, problem in damaged.items()]

    def _damaged(self, name: str, listing: Listing, *, content: bool) -> dict[str, str]:
        # What is wrong with an object, by the file's path.
        with self._calls(f"{name} cannot be checked"):
            sizes = dict((self._root / name).walk())
        damaged = {}
        for file, digest in listing.files.items():
            size = sizes.get(digest.sha256)
            problem = None
            if size is None:
                problem = "is missing"
            elif size != digest.size:
                problem = f"has {size:,} bytes, {digest.size:,} were published"
            elif content:
                problem = digest.difference(self._root / name / digest.sha256)
            if problem is not None:
                damaged[file] = problem
        return damaged

    def _list_content(self, name: str) -> bytes | None:
        with self._calls(f"the list of {name} cannot be read"):
            try:
                return (self._root / name / _LIST).read_bytes()
            except FileNotFoundError:
                return None

    def _put_list(self, name: str, listing: Listing) -> None:
        with (self._root / name / _LIST).create() as target:
            target.write(write_listing(listing))

    def _put(self, name: str, file: Path, digest: FileDigest) -> None:
        with (
            file.open("rb") as content,
            (self._root / name / digest.sha256).create() as target,
        ):
            shutil.copyfileobj(content, target, _CHUNK)

    def _fetch(self, name: str, listing: Listing, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{target.name}-", suffix=".fetched", dir=target.parent
        ) as work:
            part = Path(work) / target.name
            for file, digest in listing.files.items():
                into = part if listing.is_file else part / file
                into.parent.mkdir(parents=True, exist_ok=True)
                self._get(name, file, digest, into)
            _replace(part, target)

    def _get(self, name: str, file: str, digest: FileDigest, target: Path) -> None:
        hasher = hashlib.sha256()
        with target.open("wb") as part:
            for chunk in self._chunks(name, file, digest):
                hasher.update(chunk)
                part.write(chunk)
        if hasher.hexdigest() != digest.sha256:
            raise _not_as_published(
                name,
                f"has another {file} than was published: its sha256 is "
                f"{hasher.hexdigest()[:12]}, not {digest.sha256[:12]}",
            )

    def _chunks(self, name: str, file: str, digest: FileDigest) -> Iterator[bytes]:
        # A failure of whoever writes them does not come in here: it is not the store's.
        with self._calls(f"{name} cannot be fetched"):
            try:
                with (self._root / name / digest.sha256).open() as content:
                    while chunk := content.read(_CHUNK):
                        yield chunk
            except FileNotFoundError:
                raise _not_as_published(name, f"lacks {file}") from None

    @contextmanager
    def _calls(self, problem: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._location.error(problem, error) from error


def _replace(part: Path, target: Path) -> None:
    # `finish_erasing` removes what a crash leaves here, by this name and that of the work's folder.
    former = target.with_name(f".{target.name}.before-erasing")
    if target.is_dir() and any(target.iterdir()):
        shutil.rmtree(former, ignore_errors=True)
        place(target, former)
    try:
        place(part, target)
    except OSError:
        if not target.exists():
            raise  # else another process was first
    shutil.rmtree(former, ignore_errors=True)


def _not_as_published(name: str, problem: str) -> IntegrityError:
    return IntegrityError(f"The published {name} {problem}.", next_step=_RESTORE)

"""Jars in the cache: fetched once, compared with the hashes that the project names at every start."""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from flywheel.errors import ConfigurationError, IntegrityError, UnavailableError
from flywheel.io.atomic import place

__all__ = ["fetching_with_jgo", "jar_folder", "project_file", "require_jars"]

_SHOWN = 3


def project_file(path: Path, of: str) -> Path:
    """Return a file of the checkout that names jars.

    Raises:
        ConfigurationError: there is none: the package runs outside of a checkout.
    """
    for candidate in (Path(__file__).parents[2] / path, Path.cwd() / path):
        if candidate.is_file():
            return candidate
    raise ConfigurationError(
        f"There is no {path}, which names the jars of {of}.",
        next_step="run this in the project's folder",
    )


def jar_folder(
    target: Path, fetch: Callable[[Path], None], check: Callable[[Path], None], *, of: str
) -> Path:
    """Return a folder of jars, filled the first time; what is in it is checked either way.

    Args:
        target: the folder.
        fetch: fills an empty folder.
        check: raises where a jar is not what the project names.
        of: whose jars these are.

    Raises:
        UnavailableError: nothing could be fetched.
    """
    if target.is_dir():
        check(target)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    # Filled beside and renamed: a download that was cut off is never taken for the whole.
    with tempfile.TemporaryDirectory(prefix=f"{target.name}-", dir=target.parent) as scratch:
        jars = Path(scratch) / "jars"
        jars.mkdir()
        fetch(jars)
        if not list(jars.glob("*.jar")):
            raise UnavailableError(
                f"The jars of {of} could not be fetched.",
                next_step="look at the network, or copy them there from another machine",
            )
        check(jars)
        try:
            place(jars, target)
        except OSError:
            # Another process was quicker; its folder is as good.
            if not target.is_dir():
                raise
    return target


@contextmanager
def fetching_with_jgo(of: str, *, missing: str) -> Iterator[ModuleType]:
    """Give jgo for the block, which resolves and fetches jars.

    Args:
        of: what is fetched.
        missing: what is said where jgo is not installed.

    Raises:
        ConfigurationError: it is not.
        UnavailableError: something could not be fetched.
    """
    try:
        import jgo
    except ImportError as error:
        raise ConfigurationError(missing, next_step="run `make setup`") from error
    try:
        yield jgo
    except Exception as error:
        # jgo raises whatever its parts raise; there is no base class to name.
        raise UnavailableError(
            f"jgo could not fetch {of}: {error}", next_step="look at the network and try again"
        ) from error


def require_jars(folder: Path, expected: Mapping[str, str], *, of: str, listed: str) -> None:
    """Compare every jar of a folder with its sha256.

    Args:
        folder: holds the jars.
        expected: sha256 by the name of the file.
        of: whose jars these are.
        listed: the file that names the hashes.

    Raises:
        IntegrityError: a jar has another content, or has no hash there.
    """
    wrong = [
        jar.name for jar in sorted(folder.glob("*.jar")) if _hash(jar) != expected.get(jar.name)
    ]
    if wrong:
        raise IntegrityError(
            f"{len(wrong)} jars of {of} in {folder} are not those that {listed} names: "
            f"{', '.join(wrong[:_SHOWN])}{' …' if len(wrong) > _SHOWN else ''}.",
            next_step="remove the folder and start again; where it happens again, do not trust "
            "the registry or proxy that the jars come from",
        )


def _hash(jar: Path) -> str:
    with jar.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

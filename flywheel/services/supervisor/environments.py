"""Python environments of their own, for servers whose packages do not go together with ours.

Each is installed once from a hashed lock file into the cache, in a folder named by that file's
digest: another lock is another folder, and a running server keeps the one it was started from.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from flywheel.errors import ConfigurationError, StorageError, UnavailableError
from flywheel.io.lock import exclusive

__all__ = ["environment_programs", "install_environment"]

_COMPLETE = ".complete"
_INSTALL_SECONDS = 1800


def environment_programs(name: str, cache: Path) -> Path:
    """Return the folder that an environment's programs have or will have; nothing is installed."""
    digest = hashlib.sha256(_lock_file(name).read_bytes()).hexdigest()[:12]
    return cache.absolute() / "environments" / f"{name}-{digest}" / "bin"


def install_environment(
    name: str, cache: Path, on_progress: Callable[[str], None] = lambda _: None
) -> Path:
    """Return the folder with an environment's programs, installed where it is missing.

    Args:
        name: Of a lock file in ``deploy/environments``.
        cache: Folder that environments of several deployments share.
        on_progress: Told before something takes long.

    Raises:
        ConfigurationError: there is no such lock file.
        UnavailableError: a package could not be fetched.
        StorageError: the cache cannot be written.
    """
    lock = _lock_file(name)
    programs = environment_programs(name, cache)
    folder = programs.parent
    if (folder / _COMPLETE).exists():
        return programs
    try:
        with exclusive(folder.with_suffix(".lock"), on_wait=on_progress):
            if not (folder / _COMPLETE).exists():
                on_progress(f"installing {name} into an environment of its own")
                shutil.rmtree(folder, ignore_errors=True)
                _install(name, lock, folder)
                (folder / _COMPLETE).touch()
    except OSError as error:
        raise StorageError(
            f"The environment of {name} cannot be made in {folder}: {error}",
            next_step="free some space, or set FLYWHEEL_CACHE to another folder",
        ) from error
    return programs


def _lock_file(name: str) -> Path:
    lock = Path(__file__).parents[3] / "deploy" / "environments" / f"{name}.lock"
    if not lock.is_file():
        raise ConfigurationError(
            f"{lock} is missing: {name} cannot be installed.",
            next_step="run from a checkout of the project, or give the address of your own server",
        )
    return lock


def _install(name: str, lock: Path, folder: Path) -> None:
    python = str(folder / "bin" / "python")
    uv = _uv()
    if uv is not None:
        _run(name, [uv, "venv", "--quiet", "--no-config", "--python", sys.executable, str(folder)])
        # A server imports a fifth of its packages' modules: each is compiled when it is imported.
        install = [uv, "pip", "install", "--quiet", "--no-config", "--python", python]
    else:
        _run(name, [sys.executable, "-m", "venv", str(folder)])
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        install += ["--no-compile"]
    _run(name, [*install, "--no-deps", "--require-hashes", "--requirement", str(lock)])


def _uv() -> str | None:
    beside = Path(sys.executable).parent / "uv"
    return str(beside) if beside.exists() else shutil.which("uv")


def _run(name: str, command: Sequence[str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=_INSTALL_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(
            f"{name} was not installed within {_INSTALL_SECONDS // 60} minutes.",
            next_step="look at the network and try again; what was fetched is kept",
        ) from error
    if done.returncode != 0:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-8:])
        raise UnavailableError(
            f"{name} could not be installed:\n{last}",
            next_step="look at the network and the disk, and try again",
        )

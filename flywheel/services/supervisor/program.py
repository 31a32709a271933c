"""One program that the supervisor runs, and the folder in which a set of programs lives."""

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flywheel.errors import StorageError

__all__ = ["Layout", "Program"]

# A Unix socket's path may have 107 bytes on Linux; supervisor adds its pid while it binds.
_SOCKET_BYTES = 95


@dataclass(frozen=True)
class Program:
    """How one program is run; ``ready`` tells whether it serves, ``after_start`` is called then."""

    name: str
    command: tuple[str, ...]
    ports: tuple[int, ...]
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    directory: Path | None = None
    user: str | None = None
    stop_signal: str = "TERM"
    stop_group: bool = False
    wave: int = 0
    start_seconds: float = 180.0
    after_start: Callable[[], object] | None = None


@dataclass(frozen=True)
class Layout:
    """Paths inside the folder of one set of services."""

    folder: Path

    @property
    def plan(self) -> Path:
        """What was asked for: programs and ports."""
        return self.folder / "plan.json"

    @property
    def configuration(self) -> Path:
        """The supervisor's own configuration."""
        return self.folder / "supervisord.conf"

    @property
    def programs(self) -> Path:
        """One file for each program."""
        return self.folder / "programs"

    @property
    def logs(self) -> Path:
        """One log for each program."""
        return self.folder / "logs"

    @property
    def pid_file(self) -> Path:
        """The supervisor's process id."""
        return self.folder / "supervisord.pid"

    @property
    def supervisor_log(self) -> Path:
        """What the supervisor says of itself."""
        return self.folder / "supervisord.log"

    @property
    def secrets(self) -> Path:
        """Generated passwords, readable by the owner alone."""
        return self.folder / "secrets"

    @property
    def socket(self) -> Path:
        """The supervisor's socket; in the temporary folder when the path would be too long."""
        in_folder = self.folder / "supervisor.sock"
        if len(os.fsencode(in_folder)) <= _SOCKET_BYTES:
            return in_folder
        folder = self.short_folder("")
        self.make_private(folder)
        return folder / "supervisor.sock"

    def short_folder(self, purpose: str) -> Path:
        """Return a folder of this set in the temporary one, for sockets: their paths must be short.

        It is not made here.
        """
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"flywheel-{purpose}{os.getuid()}-{digest}"

    @staticmethod
    def make_private(folder: Path) -> None:
        """Make a folder in the temporary one; StorageError when it belongs to another user."""
        folder.mkdir(mode=0o700, exist_ok=True)
        owner = folder.lstat()
        if owner.st_uid != os.getuid() or stat.S_IMODE(owner.st_mode) & 0o077:
            raise StorageError(
                f"{folder} belongs to another user.",
                next_step="set FLYWHEEL_SERVICES to a folder with a shorter path",
            )

    def make(self) -> None:
        """Create the folders."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # PostgreSQL runs as another user under root and must be able to pass through.
        self.folder.chmod(0o711 if os.getuid() == 0 else 0o700)
        for folder in (self.programs, self.logs, self.secrets):
            folder.mkdir(mode=0o700, exist_ok=True)

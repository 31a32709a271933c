"""Which deployment a command works on: `open_platform`, `has_deployment`, `require_deployment`."""

import atexit
import subprocess
from pathlib import Path

from flywheel.clock import Clock
from flywheel.errors import NotFoundError
from flywheel.settings import Settings, load_settings
from flywheel.wiring.platform import DEMO_MARK, Platform

__all__ = ["DEMO_MARK", "git_revision", "has_deployment", "open_platform", "require_deployment"]


def open_platform(clock: Clock | None = None, *, existing: bool = False) -> Platform:
    """Read the settings and return the platform they describe; it is closed at exit.

    Args:
        clock: default: the machine's.
        existing: make no new deployment: for commands that inspect or continue one.

    Raises:
        NotFoundError: nothing is there, and an existing deployment is asked for.
    """
    settings = load_settings()
    if existing:
        require_deployment(settings)
    platform = Platform(settings, clock)
    atexit.register(platform.close)
    return platform


def require_deployment(settings: Settings) -> None:
    """Raise NotFoundError where the settings name no deployment that was begun."""
    if not has_deployment(settings):
        raise NotFoundError(
            f"There is no deployment in {settings.home.absolute()}.",
            next_step="go to the folder that holds it, or set FLYWHEEL_HOME; a new one begins with "
            "`flywheel init`",
        )


def has_deployment(settings: Settings) -> bool:
    """Return whether a home, a state on a server or a workload file is there."""
    # A state on a server of its own may have been filled from another machine.
    return (
        settings.state_url is not None
        or (settings.home.is_dir() and any(settings.home.iterdir()))
        or any(settings.workload_folder.glob("*.yaml"))
    )


def git_revision() -> str:
    """Return the checkout's revision, with ``+`` when it was changed, or an empty string."""
    folder = Path(__file__).parent
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty=+", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:
        return ""
    return done.stdout.strip()

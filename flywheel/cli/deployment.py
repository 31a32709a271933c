"""`open_deployment`: the platform, for commands that look at what is there and begin nothing."""

from flywheel.errors import NotFoundError
from flywheel.wiring import Platform, open_platform

__all__ = ["open_deployment"]


def open_deployment() -> Platform:
    """Return the platform of a deployment that exists; make no folder.

    Raises:
        NotFoundError: the home has nothing in it, no workload file is elsewhere, and the state is
            no server's: the command was most likely typed in another folder.
    """
    platform = open_platform()
    settings = platform.settings
    embedded = settings.state_database == settings.embedded_state
    begun = settings.home.is_dir() and any(settings.home.iterdir())
    if embedded and not begun and not any(settings.workload_folder.glob("*.yaml")):
        raise NotFoundError(
            f"There is no deployment in {settings.home.absolute()}.",
            next_step="go to the folder that holds it, name it with FLYWHEEL_HOME, or begin one: "
            "`flywheel init WORKLOAD`",
        )
    return platform

"""Settings of a deployment: which adapter stands behind a port is decided here and nowhere else."""

from flywheel.settings.files import connection, make_private, restrict_files
from flywheel.settings.model import CONNECTIONS, Settings, load_settings

__all__ = [
    "CONNECTIONS",
    "Settings",
    "connection",
    "load_settings",
    "make_private",
    "restrict_files",
]

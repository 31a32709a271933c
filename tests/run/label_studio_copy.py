"""Write the project's copy of an empty Label Studio database anew: ``python -m tests.run.label_studio_copy``.

`make lock` runs it: a copy of another version than the locked one is not used.
"""

import tempfile
from pathlib import Path

from flywheel.services.label_studio import NAME, migrate_empty
from flywheel.services.label_studio_database import copy_is_current, write_copy
from flywheel.services.supervisor.environments import install_environment
from flywheel.settings import load_settings

__all__ = ["main"]


def main() -> None:
    """Run the migrations of the locked version, unless the copy is of that version."""
    cache = load_settings(profile="embedded").cache
    environment = install_environment(NAME, cache).parent
    if copy_is_current(environment):
        return
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "empty.sqlite3"
        migrate_empty(cache, database)
        write_copy(environment, database)


if __name__ == "__main__":
    main()

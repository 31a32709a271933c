"""Dagster's daemon with a code server that lives until what it has read changes.

Dagster's own starts a new code server every minute, whatever has happened, and each costs 7
CPU-seconds or more. Run it as ``python -m flywheel.orchestration.daemon run`` with the options of
``dagster-daemon run``. A deployment has one at a time, by a lease.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dagster._api.list_repositories import sync_list_repositories_grpc
from dagster._core.errors import DagsterUserCodeProcessError, DagsterUserCodeUnreachableError
from dagster._core.remote_representation.grpc_server_registry import (
    GrpcServerRegistry,
    ServerRegistryEntry,
)

from flywheel.errors import ConcurrencyError
from flywheel.io.garbage import collect_seldom
from flywheel.orchestration.code_server import CodeFiles
from flywheel.settings import load_settings
from flywheel.usecases.one_daemon import one_daemon

__all__ = ["LastingServers", "main"]

# Definitions may rest on what is in no file, and a process that evaluates sensors may grow.
_LONGEST_SECONDS = 900.0


class LastingServers(GrpcServerRegistry):
    """Keep the code servers while their files are the same and they answer without an error.

    Set ``files`` before the first server starts.
    """

    files: CodeFiles

    def clear_all_grpc_endpoints(self) -> None:
        """Let the next refresh start a new server, where one is due; the daemon asks every minute."""
        have_changed = self.files.have_changed()
        with self._lock:
            entries = list(self._active_entries.values())
        if have_changed or not all(map(_is_usable, entries)):
            clear: Callable[[], None] = super().clear_all_grpc_endpoints
            clear()


def main() -> None:
    """Run the daemon."""
    collect_seldom()
    from dagster._daemon import controller
    from dagster._daemon.cli import main as run_daemon

    # Read before the first server does, so that no edit falls between the two.
    settings = load_settings()
    LastingServers.files = CodeFiles(settings.workload_folder, Path.cwd())
    replaced: Any = controller
    replaced.GrpcServerRegistry = LastingServers
    try:
        with one_daemon(settings):
            run_daemon()
    except ConcurrencyError as error:
        sys.exit(str(error))


def _is_usable(entry: object) -> bool:
    if not isinstance(entry, ServerRegistryEntry):  # it failed to start
        return False
    if time.time() - entry.creation_timestamp > _LONGEST_SECONDS:
        return False
    return entry.process.server_process.poll() is None and _has_loaded(entry)


def _has_loaded(entry: ServerRegistryEntry) -> bool:
    # It loads the code when it is first asked; what failed then (a database that was away) is in no
    # file, and the next server may succeed.
    process: Any = entry.process
    try:
        sync_list_repositories_grpc(process.create_client())
    except (DagsterUserCodeProcessError, DagsterUserCodeUnreachableError):
        return False
    return True


if __name__ == "__main__":
    main()

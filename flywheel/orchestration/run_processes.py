"""`fork_runs`: processes of runs that are forked from one in which their code is loaded already.

Dagster starts each run in a new interpreter, which imports Dagster and the code location again:
four CPU-seconds before the first asset, and as long from an event to what it brings about. Here the
code server starts one process more when it is asked for its first run (`multiprocessing`'s fork
server): it opens nothing, has no threads but those of an allocator that is made for it (jemalloc, in
pyarrow), and has imported what the code server has. Every run begins as a copy of it, and reads the
workload files itself, as before.
"""

import multiprocessing
import sys
import tempfile
from functools import cache
from typing import Any

__all__ = ["fork_runs"]

_SERVER = "dagster._grpc.server"
_FIRST = "flywheel.orchestration.fork_server"
# What these import comes with them. The file of the code location is not among them: it opens the
# deployment, and each run does that itself.
_PACKAGES = frozenset({"assets", "flywheel", "sensors"})
_DAGSTER = frozenset({"dagster", "dagster._grpc.impl"})
# A socket's path has 107 bytes at most, of which multiprocessing takes 32 below the folder.
_LONGEST_FOLDER = 70


def fork_runs() -> None:
    """Let this process, if it is a code server of Dagster, fork its runs; no other is changed."""
    module: Any = sys.modules.get(_SERVER)
    if module is not None:
        # The server is being made as it loads the code: a property of its class goes before what
        # its constructor has set.
        module.DagsterApiServer._mp_ctx = property(_fork_context, _ignore)  # noqa: SLF001


def _ignore(_server: object, _context: object) -> None:
    pass  # what the constructor of a later server sets


def _fork_context(_server: object) -> Any:
    if len(tempfile.gettempdir().encode()) > _LONGEST_FOLDER:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_loaded_modules())
    return context


@cache
def _loaded_modules() -> list[str]:
    # With the first run, so that what the sensors have imported meanwhile is there too.
    names = list(sys.modules)
    ours = [name for name in names if name.partition(".")[0] in _PACKAGES]
    return [_FIRST, *(name for name in names if name in _DAGSTER), *ours]

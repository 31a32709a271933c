"""Runs of Dagster begin as copies of a process that has loaded their code."""

import json
import os
import subprocess
import sys
import tempfile

import psutil

from flywheel.orchestration import run_processes
from tests.fakes.waiting import wait_until

# The code server itself is started by tests/faults/test_dagster_faults.py.
_SERVER = """
import atexit, gc, json, multiprocessing, os, pathlib, signal, sys, time, types

def begin(queue, note):
    atexit.register(pathlib.Path(note).touch)
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=[0])
    child.start()
    child.join()
    before = gc.get_freeze_count()
    os.waitpid(os.fork() or os._exit(0), 0)
    queue.put({
        "code of a child": child.exitcode,
        "freezes": gc.get_freeze_count() != before,
        "parent": os.getppid(),
        "loaded": "flywheel.orchestration.workers" in sys.modules,
        "frozen": gc.get_freeze_count() > 0,
        "arguments": sys.argv,
        "ends by a signal": signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
    })

def go_on(queue):
    queue.put((os.getpid(), os.getppid()))
    time.sleep(600)

class DagsterApiServer:
    def __init__(self):
        self._mp_ctx = multiprocessing.get_context("spawn")

if __name__ == "__main__":
    sys.modules["dagster._grpc.server"] = types.SimpleNamespace(DagsterApiServer=DagsterApiServer)
    server = DagsterApiServer()
    from flywheel.orchestration.run_processes import fork_runs
    fork_runs()
    import flywheel.orchestration.workers
    DagsterApiServer()  # a later one is made as before
    seen = []
    for number in range(2):
        for one in seen[-1:]:
            os.kill(one["parent"], signal.SIGTERM)  # as to the whole group
        queue = server._mp_ctx.Queue()
        process = server._mp_ctx.Process(target=begin, args=[queue, sys.argv[1]])
        process.start()
        seen.append(queue.get())
        process.join()
        seen[-1]["code"] = process.exitcode
    process = server._mp_ctx.Process(target=go_on, args=[queue])
    process.start()
    run, parent = queue.get()
    os.kill(parent, signal.SIGKILL)
    process.join()
    print(json.dumps({"pid": os.getpid(), "seen": seen, "run": run, "code": process.exitcode}))
"""


def test_runs_are_copies_of_one_process_that_has_loaded_their_code(tmp_path, repository):
    """Two have the same parent, which is not the server, and end as an interpreter does, or with it."""
    (tmp_path / "server.py").write_text(_SERVER)
    note = tmp_path / "ended"
    done = subprocess.run(
        [sys.executable, "server.py", str(note)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=True,
    )

    server = json.loads(done.stdout)
    first, second = server["seen"]
    assert first == second
    assert first["parent"] != server["pid"]
    assert first["loaded"]
    assert first["frozen"]
    assert first["ends by a signal"]
    # What a run forks by itself is left alone.
    assert first["code of a child"] == 0
    assert not first["freezes"]
    assert first["arguments"] == ["server.py", str(note)]
    assert first["code"] == 0
    assert note.exists()
    # Of a run whose parent was killed the server knows nothing but that.
    assert server["code"] != 0
    wait_until(lambda: has_ended(server["run"]), "the end of the run", seconds=60)


def has_ended(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_process_that_is_no_code_server_stays_as_it_is(monkeypatch):
    """Commands and tests load the code location as well."""
    monkeypatch.delitem(sys.modules, "dagster._grpc.server", raising=False)
    before = set(sys.modules)
    run_processes.fork_runs()
    assert set(sys.modules) == before


def test_a_long_path_of_temporary_files_starts_runs_as_dagster_does(monkeypatch, tmp_path):
    """The socket of a process that forks would have no room below it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 80)))
    assert run_processes._fork_context(None).get_start_method() == "spawn"

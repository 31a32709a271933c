import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.services import Services
from flywheel.services.supervisor.leftovers import group_members
from flywheel.services.supervisor.program import Layout, Program
from flywheel.services.supervisor.supervision import Supervisor, program_section, tail


def _program(**changes):
    values = {"name": "p", "command": ("run", "a b"), "ports": (), "ready": lambda: True}
    return Program(**values | changes)


def test_arguments_and_percent_signs_reach_the_program(tmp_path):
    """The supervisor takes a percent sign for a variable unless it is doubled."""
    program = _program(command=("run", "a b", "50%"), environment={"X": "100%"})
    text = program_section(Layout(tmp_path), program, restart=True)
    assert "command=run 'a b' 50%%\n" in text
    assert 'X="100%%"' in text
    assert "autorestart=unexpected" in text


def test_a_value_that_cannot_be_quoted_is_refused(tmp_path):
    """Nothing is passed on garbled; the error does not show the value."""
    program = _program(environment={"X": "a\"b'c"})
    with pytest.raises(ConfigurationError, match="X holds both kinds") as caught:
        program_section(Layout(tmp_path), program, restart=True)
    assert "b'c" not in str(caught.value)


def test_programs_do_not_print_their_environment():
    """It may hold passwords."""
    assert "geheim" not in repr(_program(environment={"X": "geheim"}))


def test_no_supervisor_says_what_to_do(tmp_path):
    """Asking a folder in which nothing runs is an error with the way out."""
    supervisor = Supervisor(Layout(tmp_path))
    assert not supervisor.alive()
    with pytest.raises(UnavailableError) as caught:
        supervisor.states()
    assert "flywheel services up" in caught.value.next_step


def test_a_long_path_has_its_socket_elsewhere(tmp_path):
    """A Unix socket's path is limited; the folder in its place is private."""
    deep = tmp_path / ("x" * 100)
    socket = Layout(deep).socket
    assert len(os.fsencode(socket)) < 100
    assert socket == Layout(deep).socket
    assert socket.parent.stat().st_mode & 0o077 == 0
    socket.parent.rmdir()
    assert Layout(Path("/x")).socket == Path("/x/supervisor.sock")


def test_the_end_of_a_log_is_told(tmp_path):
    """The last lines, whatever bytes they are; a missing log says so."""
    log = tmp_path / "log"
    assert tail(log) == "(nothing was logged)"
    log.write_bytes(b"first\n\xffsecond\nthird\n")
    assert tail(log, 2).endswith("second\nthird")


def test_the_guard_ends_with_a_folder_that_is_gone(tmp_path):
    """It does not linger when the services were stopped by somebody else."""
    command = [sys.executable, "-m", "flywheel.services.supervisor.guard", str(os.getpid())]
    done = subprocess.run([*command, str(tmp_path / "gone")], check=False, timeout=60)
    assert done.returncode == 0


def test_a_killed_program_is_gone_with_all_that_it_started(tmp_path):
    """A child that still runs would hold the port that the next start wants."""
    # What has much memory takes a while to end.
    child = "held = b'x' * 400_000_000; print('up', flush=True); input()"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    ) as leader:  # fmt: skip
        assert leader.stdout.readline() == b"up\n"
        members = group_members(leader.pid)
        assert len(members) == 2
        services = Services(tmp_path)
        services.supervisor = SimpleNamespace(
            states=lambda: {"p": SimpleNamespace(pid=leader.pid if leader.poll() is None else None)}
        )
        services.kill("p")
        alive = [one for one in members if one.is_running() and one.status() != "zombie"]
        assert alive == []

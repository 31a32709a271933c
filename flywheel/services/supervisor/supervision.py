"""supervisord: its configuration, its life, and the calls that go over its Unix socket."""

import http.client
import os
import shlex
import subprocess
import sys
import xmlrpc.client
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psutil

from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.io.atomic import write_text
from flywheel.io.patience import Patience, poll
from flywheel.services.supervisor.program import Layout, Program

__all__ = ["MARK", "ProgramState", "Supervisor", "program_section", "tail", "wait_until"]

# In the environment of every process started here, so that leftovers can be found.
MARK = "FLYWHEEL_SUPERVISED_IN"
_POLL, _LONGEST_POLL = 0.1, 1.0
_ALREADY_ADDED, _ALREADY_STARTED, _NOT_RUNNING, _BAD_NAME = 90, 60, 70, 10


@dataclass(frozen=True)
class ProgramState:
    """What the supervisor says of a program; ``since`` is a Unix time."""

    name: str
    state: str
    pid: int | None
    since: float
    detail: str


class Supervisor:
    """The supervisor of one folder."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def alive(self) -> bool:
        """Return whether it answers on its socket."""
        try:
            self._call("getState")
        except UnavailableError:
            return False
        return True

    def ensure(self) -> None:
        """Start it when it does not run; a stale socket or pid file is not an obstacle."""
        if self.alive():
            return
        layout = self._layout
        layout.make()
        layout.pid_file.unlink(missing_ok=True)
        layout.socket.unlink(missing_ok=True)
        write_text(layout.configuration, _supervisor_section(layout), private=True)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(layout.configuration)]
        done = subprocess.run(  # noqa: S603 - our own interpreter
            command,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {MARK: str(layout.folder)},
        )
        if done.returncode != 0:
            hint = "run `make setup`" if "No module named" in done.stderr else "read the line above"
            raise ConfigurationError(
                f"The supervisor did not start: {(done.stdout + done.stderr).strip()[-1000:]}",
                next_step=hint,
            )
        wait_until(self.alive, seconds=20, goal="the supervisor", log=layout.supervisor_log)

    def install(self, program: Program, *, restart: bool) -> bool:
        """Tell it of a program; return whether the program is new or changed.

        Args:
            program: How to run it.
            restart: Start it again when it dies without having been told to.
        """
        file = self._layout.programs / f"{program.name}.conf"
        text = program_section(self._layout, program, restart=restart)
        same = file.exists() and file.read_text() == text
        if not same:
            write_text(file, text, private=True)
        state = self.states().get(program.name)
        if same and state:
            return False
        self._call("reloadConfig")
        if state:
            self._forget(program.name)
        self._call("addProcessGroup", program.name, ignore=_ALREADY_ADDED)
        return True

    def remove(self, name: str) -> None:
        """Stop a program and forget it."""
        (self._layout.programs / f"{name}.conf").unlink(missing_ok=True)
        if name in self.states():
            self._call("reloadConfig")
            self._forget(name)

    def _forget(self, name: str) -> None:
        self.stop(name)
        self._call("removeProcessGroup", name)

    def states(self) -> dict[str, ProgramState]:
        """Return the state of every program it knows."""
        rows = cast("list[dict[str, Any]]", self._call("getAllProcessInfo"))
        return {
            row["name"]: ProgramState(
                name=row["name"],
                state=row["statename"].lower(),
                pid=row["pid"] or None,
                since=float(row["start"]),
                detail=row["spawnerr"] or row["description"],
            )
            for row in rows
        }

    def start(self, name: str) -> None:
        """Start a program without waiting for it."""
        self._call("startProcess", name, False, ignore=_ALREADY_STARTED)

    def stop(self, name: str) -> None:
        """Stop a program and wait until it has."""
        self._call("stopProcess", name, True, ignore=_NOT_RUNNING)

    def shutdown(self) -> None:
        """Stop every program and the supervisor itself, and wait until it has gone."""
        pid = int(self._call("getPID"))
        process = psutil.Process(pid)
        self._call("shutdown")
        try:
            process.wait(timeout=90)
        except psutil.TimeoutExpired:
            process.kill()

    def _call(self, method: str, *arguments: Any, ignore: int | None = None) -> Any:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{self._layout.socket}")
        server = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return getattr(server.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == ignore:
                return None
            if fault.faultCode == _BAD_NAME:
                raise ConfigurationError(
                    f"The supervisor does not know {arguments[0]}.",
                    next_step="run `flywheel services up`",
                ) from fault
            raise UnavailableError(
                f"The supervisor refused {method}: {fault.faultString}",
                next_step=f"read {self._layout.supervisor_log}",
            ) from fault
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(
                f"No supervisor answers in {self._layout.folder}.",
                next_step="run `flywheel services up`",
            ) from error
        finally:
            transport.close()


def wait_until(
    condition: Callable[[], bool],
    *,
    seconds: float,
    goal: str,
    log: Path,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Wait for a condition; ``check`` may raise earlier when it can no longer come true.

    ``seconds`` are those of a `Patience`: a busy machine gets more.
    """
    patience = Patience(seconds)
    if not poll(condition, patience, pause=_POLL, longest_pause=_LONGEST_POLL, check=check):
        raise UnavailableError(
            f"{goal} did not answer within {seconds:.0f} s. Its log ends with:\n{tail(log)}",
            next_step=f"read {log}",
        )


def tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log."""
    if not log.exists():
        return "(nothing was logged)"
    with log.open("rb") as source:
        source.seek(max(0, log.stat().st_size - 64 * 1024))
        text = source.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])


def _supervisor_section(layout: Layout) -> str:
    return _escaped(f"""\
[supervisord]
directory={layout.folder}
pidfile={layout.pid_file}
logfile={layout.supervisor_log}
logfile_maxbytes=5MB
logfile_backups=1
childlogdir={layout.logs}
[unix_http_server]
file={layout.socket}
chmod=0700
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[include]
files={layout.programs}/*.conf
""")


def program_section(layout: Layout, program: Program, *, restart: bool) -> str:
    """Return a program's part of the supervisor's configuration; it may hold passwords."""
    pairs = {MARK: str(layout.folder), **program.environment}
    environment = ",".join(f"{key}={_quoted(key, pairs[key])}" for key in sorted(pairs))
    user = f"user={program.user}\n" if program.user else ""
    # At the end the last wave goes first.
    # A program that does not come up is tried three times: a port or a lock of its predecessor may
    # be freed a moment later.
    return _escaped(f"""\
[program:{program.name}]
command={shlex.join(program.command)}
environment={environment}
directory={program.directory or "/"}
{user}priority={program.wave}
autostart=false
autorestart={"unexpected" if restart else "false"}
exitcodes=0
startsecs=1
startretries=2
stopsignal={program.stop_signal}
stopwaitsecs=30
stopasgroup={"true" if program.stop_group else "false"}
killasgroup=true
redirect_stderr=true
stdout_logfile={layout.logs / program.name}.log
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
""")


def _quoted(key: str, value: str) -> str:
    for quote in ('"', "'"):
        if quote not in value and "\n" not in value:
            return f"{quote}{value}{quote}"
    raise ConfigurationError(
        f"{key} holds both kinds of quotation marks or a line break, which the supervisor cannot "
        "take.",
        next_step="write the value in flywheel.toml",
    )


def _escaped(text: str) -> str:
    return text.replace("%", "%%")

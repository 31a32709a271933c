"""Processes that outlived their supervisor, found by the mark in their environment, or their leader."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from flywheel.services import postgres
from flywheel.services.supervisor.supervision import MARK

__all__ = ["end", "find", "group_members"]


def group_members(group: int) -> list[psutil.Process]:
    """Return the processes of a process group, its leader among them."""
    members = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(process.pid) == group:
                members.append(process)
    return members


def find(folder: Path) -> list[psutil.Process]:
    """Return the processes that were started for this folder and still run."""
    processes = {process.pid: process for process in (*_marked(folder), *_renamed(folder))}
    # PostgreSQL writes over its environment to set its title; its own file names the process.
    for file in _postmasters(folder):
        try:
            process = psutil.Process(int(file.read_text().split("\n", 1)[0]))
            if "postgres" in process.name():
                processes[process.pid] = process
        except (ValueError, psutil.NoSuchProcess, OSError):
            continue
    return list(processes.values())


def _renamed(folder: Path) -> Iterator[psutil.Process]:
    # vLLM's engine writes over its environment as well; it works where it was started.
    for process in psutil.process_iter():
        with suppress(psutil.AccessDenied, psutil.NoSuchProcess, OSError):
            if process.name().startswith("VLLM::") and Path(process.cwd()).is_relative_to(folder):
                yield process


def end(folder: Path) -> int:
    """End what is left and return how many processes that were."""
    processes = find(folder)
    for process in processes:
        _signal(process, signal.SIGTERM)
    _, stubborn = psutil.wait_procs(processes, timeout=20)
    for process in stubborn:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=10)
    return len(processes)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        if number == signal.SIGTERM and "postgres" in process.name():
            # At TERM it would wait for its clients to leave.
            number = signal.SIGINT
        process.send_signal(number)


def _marked(folder: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            if process.environ().get(MARK) == str(folder):
                yield process
        except (psutil.AccessDenied, psutil.NoSuchProcess, OSError):
            continue


def _postmasters(folder: Path) -> Iterator[Path]:
    data = postgres.data_folder(folder / "postgres")
    yield from data.glob("postmaster.pid")

"""Pytest plugin: how long a run will take, how far it is, and where its time went.

Each phase of each test reports its wall time and the CPU time of its own process and of the
processes that it waited for. The summary adds them up by part of the suite, beside the time that
the machine's processors were busy, services included. ``COSTS_FILE=PATH`` writes the seconds of
each file, for ``tests/run/costs.json``.
"""

import json
import os
import time
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest

from tests.run.groups import file_of, seconds_by_file

# Side by side two workers get more than one's, and less than twice one's work done.
_SPEED = 1.9
_STEP = 0.05


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice + times.irq + times.softirq)


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _measured(item: pytest.Item, phase: str) -> Generator[None, object, object]:
    wall, own = time.perf_counter(), _own_seconds()
    try:
        return (yield)
    finally:
        cost = time.perf_counter() - wall, _own_seconds() - own
        item.user_properties.append((f"cost_{phase}", [round(value, 3) for value in cost]))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Measure fixtures."""
    return (yield from _measured(item, "setup"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Measure the test."""
    return (yield from _measured(item, "call"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Measure what comes down after it."""
    return (yield from _measured(item, "teardown"))


def pytest_configure(config: pytest.Config) -> None:
    """Collect where the terminal is."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Run(config), "flywheel-run")


class _Run:
    # The figures of a run, from the reports of every worker.

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.began, self.busy = time.monotonic(), _busy_seconds()
        self.expected = seconds_by_file()
        self.costs: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self.tests: dict[str, int] = defaultdict(int)
        self.shown = 0.0
        everything = not config.args or config.args == config.getini("testpaths")
        self.whole = everything and not (config.option.markexpr or config.option.keyword)

    def pytest_report_header(self) -> str | None:
        """Say how long the whole run takes."""
        if not self.whole:
            return None
        minutes = sum(self.expected.values()) / _SPEED / 60
        return f"about {minutes:.0f} minutes on two quiet cores (see the README for a quick part)"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Name a test that failed at once; add up what each reported, and show how far the run is."""
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            why = str(crash.message).splitlines()[:1] if crash is not None else []
            self._write_line(" ".join([f"FAILED {report.nodeid} ({report.when})", *why]))
        if report.when != "teardown":
            return
        file = file_of(report.nodeid)
        for name, value in report.user_properties:
            if name.startswith("cost_"):
                self.costs[file] = [a + b for a, b in zip(self.costs[file], value, strict=True)]
        self.tests[file] += 1
        if self.whole:
            self._show_progress()

    def _show_progress(self) -> None:
        total = sum(self.expected.values())
        done = sum(min(self.costs[f][0], self.expected.get(f, 0.0)) for f in self.costs) / total
        if done < self.shown + _STEP:
            return
        self.shown = done
        passed = (time.monotonic() - self.began) / 60
        self._write_line(f"[{done:.0%} of the work after {passed:.0f} min]")

    def _write_line(self, line: str) -> None:
        terminal = self.config.pluginmanager.get_plugin("terminalreporter")
        terminal.ensure_newline()
        terminal.write_line(line)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print a line for each part of the suite."""
        parts: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
        for file, cost in self.costs.items():
            part = "/".join(file.split("/")[1:-1])
            row = [*cost, float(self.tests[file])]
            parts[part] = [a + b for a, b in zip(parts[part], row, strict=True)]
        terminalreporter.section("where the time went")
        terminalreporter.write_line(f"{'part':<32}{'tests':>8}{'wall s':>10}{'CPU s':>10}")
        for part, (wall, own, tests) in sorted(parts.items(), key=lambda item: -item[1][0]):
            terminalreporter.write_line(f"{part:<32}{tests:>8.0f}{wall:>10.1f}{own:>10.1f}")
        wall, busy = time.monotonic() - self.began, _busy_seconds() - self.busy
        count = sum(self.tests.values())
        terminalreporter.write_line(f"{'the run':<32}{count:>8}{wall:>10.1f}{busy:>10.1f}")
        terminalreporter.write_line(
            "CPU s of a part: its tests and the programs they waited for; of the run: this "
            "machine, services included"
        )
        if target := os.environ.get("COSTS_FILE"):
            seconds = {
                file: round(cost[0], 1) for file, cost in sorted(self.costs.items()) if cost[0] >= 1
            }
            Path(target).write_text(json.dumps(seconds, indent=1) + "\n", encoding="utf-8")

"""Pytest plugin: where the time of a test run goes, by part of the suite.

Each phase of each test reports its wall time, the CPU time of its own process and of the processes
that it waited for, and the time that both cores were busy meanwhile (services included). The
summary adds them up by folder; ``COST_FILE`` names a file that gets every single figure, one JSON line a test.
"""

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

FIGURES = ("wall", "own", "machine")


def _now() -> tuple[float, float, float]:
    times = os.times()
    busy = psutil.cpu_times()
    return (
        time.perf_counter(),
        times.user + times.system + times.children_user + times.children_system,
        busy.user + busy.system + busy.nice + busy.irq + busy.softirq,
    )


def _measured(item: pytest.Item, phase: str) -> Iterator[None]:
    before = _now()
    try:
        return (yield)
    finally:
        cost = [round(after - start, 3) for after, start in zip(_now(), before, strict=True)]
        item.user_properties.append((f"cost_{phase}", cost))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Measure fixtures."""
    return (yield from _measured(item, "setup"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Measure the test."""
    return (yield from _measured(item, "call"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Measure what comes down after it."""
    return (yield from _measured(item, "teardown"))


class Costs:
    """The figures of a run, from the reports of every worker."""

    def __init__(self) -> None:
        self.tests: dict[str, dict[str, list[float]]] = defaultdict(dict)
        self.began = _now()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a finished test reported."""
        for name, value in report.user_properties:
            if name.startswith("cost_"):
                self.tests[report.nodeid][name.removeprefix("cost_")] = value
        if report.when == "teardown" and (target := os.environ.get("COST_FILE")):
            with Path(target).open("a") as file:
                file.write(json.dumps([report.nodeid, self.tests[report.nodeid]]) + "\n")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print a line for each part of the suite."""
        parts: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(FIGURES))
        for test, phases in self.tests.items():
            part = "/".join(test.split("/")[1 : 3 if "/unit/" in test else 2])
            for cost in phases.values():
                parts[part] = [a + b for a, b in zip(parts[part], cost, strict=True)]
        terminalreporter.section("where the time went (seconds)")
        terminalreporter.write_line(f"{'part':<28}" + "".join(f"{name:>10}" for name in FIGURES))
        for part, cost in sorted(parts.items(), key=lambda item: -item[1][0]):
            terminalreporter.write_line(f"{part:<28}" + "".join(f"{x:>10.1f}" for x in cost))
        total = [after - start for after, start in zip(_now(), self.began, strict=True)]
        terminalreporter.write_line(f"{'run':<28}" + "".join(f"{x:>10.1f}" for x in total))


def pytest_configure(config: pytest.Config) -> None:
    """Collect where the terminal is."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Costs(), "flywheel-costs")

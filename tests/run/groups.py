"""Pytest plugin: which tests share a process and its services, and which groups go first.

Tests that use the same shared service form a group, all others go by file; pytest-xdist gives each
group to one worker, the longest first, so that a set of services is started once, runs beside the
other workers' tests, and is stopped after its group. ``costs.json`` beside this file says how long
each test file takes; `tests.run.costs` writes it.
"""

import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest

__all__ = ["group_of", "seconds_by_file"]

# The fixture of each shared service, the slowest start first: a test that needs two of them goes
# with the first.
_FIXTURES = {
    "vllm": "vllm",
    "ray_cluster": "ray",
    "label_studio": "label-studio",
    "kafka_servers": "kafka",
    "mlflow_url": "mlflow",
    "postgres_url": "postgres",
}
_UNKNOWN_SECONDS = 5.0
_COSTS = Path(__file__).with_name("costs.json")


def group_of(item: pytest.Item) -> str:
    """Return the name of a test's group."""
    marked = {name for mark in item.iter_markers("services") for name in mark.args}
    fixtures = set(getattr(item, "fixturenames", ()))
    for fixture, service in _FIXTURES.items():
        if fixture in fixtures or service in marked:
            return service
    return file_of(item.nodeid)


def file_of(nodeid: str) -> str:
    """Return the file of a test."""
    return nodeid.partition("::")[0]


def seconds_by_file() -> dict[str, float]:
    """Return the seconds of each test file on two quiet cores, as they were measured last."""
    costs: dict[str, float] = json.loads(_COSTS.read_text(encoding="utf-8"))
    return costs


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its group and put the longest groups first."""
    costs = seconds_by_file()
    tests = Counter(file_of(item.nodeid) for item in items)
    seconds: dict[str, float] = defaultdict(float)
    groups = {}
    for item in items:
        file = file_of(item.nodeid)
        groups[item] = group_of(item)
        seconds[groups[item]] += costs.get(file, _UNKNOWN_SECONDS) / tests[file]
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: (-round(seconds[groups[item]], 3), groups[item]))

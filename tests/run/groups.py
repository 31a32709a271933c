"""Pytest plugin: which tests share a process and its services, and which groups go first.

Tests that use the same shared service form a group, those that run Dagster's daemon another one,
all others go by file; pytest-xdist gives each
group to one worker, the longest first, so that a set of services is started once, runs beside the
other workers' tests, and is stopped after its group. Much of such a group is waiting: a worker
more than there are cores fills the gaps, at a lower priority, with files that need no service, no
daemon and no training. ``costs.json`` beside this file says how long each test file takes;
`tests.run.costs` writes it.
"""

import json
import os
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

__all__ = ["group_of", "seconds_by_file"]

# The fixture of each shared service, the slowest start first: a test that needs two of them goes
# with the first.
_FIXTURES = {
    "vllm": "vllm",
    "ray_cluster": "ray",
    "label_studio": "label-studio",
    "spark_server": "spark",
    "kafka_servers": "kafka",
    "mlflow_url": "mlflow",
    "object_store": "object-store",
    "postgres_url": "postgres",
}
# Files of less than a second are left out of the table, new ones are not in it yet.
_UNKNOWN_SECONDS = 1.0
_COSTS = Path(__file__).with_name("costs.json")
_FIRST, _GROUPS = "gw0", "flywheel_groups"
_DAEMON = "daemon"
_HEAVY = (_DAEMON, "services", "slow", "browser")
_NICENESS, _GAP_NICENESS = 5, 10
_FOLDER = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def group_of(item: pytest.Item) -> str:
    """Return the name of a test's group."""
    if item.get_closest_marker(_DAEMON) is not None:
        return _DAEMON
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
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest groups first, and let the process that distributes them know them."""
    costs = seconds_by_file()
    tests = Counter(file_of(item.nodeid) for item in items)
    seconds: dict[str, float] = defaultdict(float)
    groups = {item: group_of(item) for item in items}
    for item, group in groups.items():
        file = file_of(item.nodeid)
        seconds[group] += costs.get(file, _UNKNOWN_SECONDS) / tests[file]
    items.sort(key=lambda item: (-round(seconds[groups[item]], 3), groups[item]))
    worker: dict[str, Any] = getattr(config, "workerinput", {})
    if worker.get("workerid") == _FIRST:
        by_id = {item.nodeid: group for item, group in groups.items()}
        heavy = {group for item, group in groups.items() if _is_heavy(item)}
        content = json.dumps({"groups": by_id, "heavy": sorted(heavy)})
        Path(worker[_GROUPS]).write_text(content, encoding="utf-8")


def _is_heavy(item: pytest.Item) -> bool:
    fixtures = _FIXTURES.keys() & set(getattr(item, "fixturenames", ()))
    return bool(fixtures) or any(item.get_closest_marker(name) for name in _HEAVY)


def fills_gaps(worker_id: str) -> bool:
    """Return whether a worker (``gw0``, ``gw1`` ...) is one more than the machine has cores."""
    return int(worker_id.removeprefix("gw")) >= (os.cpu_count() or 1)


def pytest_configure(config: pytest.Config) -> None:
    """Let the first worker's tests go before the others', and those that fill gaps come last."""
    worker: dict[str, Any] = getattr(config, "workerinput", {})
    if worker and fills_gaps(worker["workerid"]):
        os.nice(_GAP_NICENESS)
    elif worker and worker["workerid"] != _FIRST:
        os.nice(_NICENESS)


class _GroupScheduling(LoadScopeScheduling):
    # Every worker has collected, and so written its groups, before anything is scheduled.

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        self._groups: dict[str, str] = {}
        self._heavy: frozenset[str] = frozenset()

    def _split_scope(self, nodeid: str) -> str:
        if not self._groups:
            content = json.loads(_groups_file(self.config).read_text(encoding="utf-8"))
            self._groups, self._heavy = content["groups"], frozenset(content["heavy"])
        return self._groups[nodeid]

    def _assign_work_unit(self, node: WorkerController) -> None:
        group = self._next_for(node.gateway.id)
        if group is None:
            node.shutdown()
            return
        self.workqueue.move_to_end(group, last=False)
        super()._assign_work_unit(node)

    def _next_for(self, worker_id: str) -> str | None:
        if fills_gaps(worker_id):
            return next((name for name in self.workqueue if name not in self._heavy), None)
        if worker_id == _FIRST and _DAEMON in self.workqueue:
            return _DAEMON
        return next((name for name in self.workqueue if name != _DAEMON), _DAEMON)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _GroupScheduling:
    """Give each group to one worker."""
    return _GroupScheduling(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Tell a worker where to write the groups."""
    node.workerinput[_GROUPS] = str(_groups_file(node.config))


def _groups_file(config: pytest.Config) -> Path:
    if _FOLDER not in config.stash:
        config.stash[_FOLDER] = tempfile.TemporaryDirectory(prefix="flywheel-groups-")
        config.add_cleanup(config.stash[_FOLDER].cleanup)
    return Path(config.stash[_FOLDER].name) / "groups.json"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Keep a worker's last words off the terminal: DuckDB's bindings list what they leak at exit."""
    if hasattr(config, "workerinput"):
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)

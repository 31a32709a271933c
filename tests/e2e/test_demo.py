"""The demo itself: killed in the middle it goes on, and it comes to the same figures."""

import json
import os
import signal
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def start(repository, home, cache, **kwargs):
    return subprocess.Popen(
        [sys.executable, "-m", "demo", "--json"],
        cwd=repository,
        env={name: value for name, value in os.environ.items() if name != "FLYWHEEL_WORKLOADS"}
        | {"FLYWHEEL_HOME": str(home), "FLYWHEEL_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        text=True,
        **kwargs,
    )


def figures(process):
    output, _ = process.communicate()
    assert process.returncode == 0
    return {key: value for key, value in json.loads(output).items() if key != "seconds"}


def without_places(summary, home):
    """Leave out what depends on the folder, and reasons: they tell of measured latency."""
    kept = json.loads(json.dumps(summary).replace(str(home), "HOME"))
    for told in (*kept["decisions"], *kept["cycles"]):
        del told["reason"]
    return kept


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def whole(repository, tmp_path_factory, cache):
    """Play the demo in one go."""
    home = tmp_path_factory.mktemp("whole") / "home"
    return without_places(figures(start(repository, home, cache)), home)


def test_two_cycles_are_promoted_and_the_ledger_balances(whole):
    """Calendar and drift each bring a release; nothing is lost and nothing counts twice."""
    assert whole["ledger balances"]
    assert [(c["trigger"], c["status"]) for c in whole["cycles"]] == [
        ("calendar", "promoted"),
        ("drift", "promoted"),
    ]


def test_answers_get_better(whole):
    """On the control slice the month after each promotion is better than the month before."""
    for promotion in whole["promotions"]:
        assert promotion["after"]["accuracy"] > promotion["before"]["accuracy"]


def test_a_killed_demo_goes_on_to_the_same_figures(repository, tmp_path, cache, whole):
    """Killed when the first training has begun, and again later, it loses nothing."""
    home = tmp_path / "home"
    for sign in ("runs/defect_reports/2026Q2-1/1/progress.jsonl", "demo/window-8.json"):
        process = start(repository, home, cache, start_new_session=True)
        while not (home / sign).exists():
            assert process.poll() is None, "the demo ended before it was killed"
            try:
                process.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                continue
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    assert without_places(figures(start(repository, home, cache)), home) == whole


def test_someone_elses_deployment_is_refused(repository, tmp_path, cache):
    """The demo touches nothing that it did not make."""
    home = tmp_path / "home"
    (home / "lake").mkdir(parents=True)
    process = start(repository, home, cache, stderr=subprocess.PIPE)
    _, errors = process.communicate()

    assert process.returncode == 1
    assert "not the demo's" in errors
    assert list(home.iterdir()) == [home / "lake"]

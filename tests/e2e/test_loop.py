"""`make loop` on the quick base: one turn on every real service, while a client keeps asking."""

import json
import os
import subprocess
import sys

import psutil
import pytest

from tests.conftest import REPOSITORY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.daemon,
    pytest.mark.services,
    pytest.mark.browser,
    pytest.mark.timeout(2400),
]


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    """Run the loop as its command does; return its summary, its lines and its folder."""
    folder = tmp_path_factory.mktemp("loop")
    done = subprocess.run(
        [sys.executable, "-m", "loop", "--base", "tiny", "--json", "--folder", str(folder)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "FLYWHEEL_WORKLOADS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr[-8000:]
    return json.loads(done.stdout), done.stderr, folder


def test_everything_holds(loop):
    """Ledger, audit, registry, and the same dataset as without any service."""
    summary, _, _ = loop
    assert [fact for fact, holds in summary["facts"].items() if not holds] == []
    assert summary["whole"]
    assert summary["dataset"] == summary["dataset embedded"]


def test_every_stage_ran_on_its_real_service(loop):
    """Nothing fell back to an embedded default."""
    summary, _, _ = loop
    assert summary["adapters"] == {
        "log": "kafka",
        "queue": "label_studio",
        "trainer": "ray",
        "server": "vllm",
    }
    assert summary["answered in a browser"]


def test_client_was_answered_through_every_stage(loop):
    """No request of the gateway failed; the canary answered some people, then the champion all."""
    summary, _, _ = loop
    requests, champion = summary["requests"], summary["champion"]
    assert requests["failed"] == 0
    # A canary that a busy machine keeps from answering in time is followed by the champion.
    assert set(requests["by route"]) - {"base as fallback"} == {
        "base as champion", f"{champion} as canary", f"{champion} as champion",
    }  # fmt: skip


def test_the_release_was_a_shadow_and_a_canary_before(loop):
    """Dagster's daemon moved it on, by what had landed of the client's requests."""
    summary, _, _ = loop
    stages = [(s["release"], s["stage"], s["outcome"]) for s in summary["stages"]]
    assert stages == [
        (summary["champion"], "shadow", "advanced"),
        (summary["champion"], "canary 50%", "promoted"),
    ]


def test_daemon_opened_the_cycle_from_what_people_said(loop):
    """Nobody started it: enough corrections had come together."""
    summary, lines, _ = loop
    assert summary["opened by"].startswith("volume: Yes, by volume")
    assert "the daemon's schedule chose" in lines


def test_nothing_is_left_running(loop):
    """Every process of the loop has ended with it."""
    _, _, folder = loop
    left = []
    for process in psutil.process_iter():
        try:
            if str(folder) in process.environ().get("FLYWHEEL_HOME", ""):
                left.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    assert left == []

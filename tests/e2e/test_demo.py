"""The demo itself: killed in the middle it goes on, and it comes to the same figures."""

import json
import os
import shutil
import signal
import subprocess
import sys

import psutil
import pytest

from tests.fakes.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def start(repository, home, **kwargs):
    return subprocess.Popen(
        [sys.executable, "-m", "demo", "--json"],
        cwd=repository,
        env={name: value for name, value in os.environ.items() if name != "FLYWHEEL_WORKLOADS"}
        | {"FLYWHEEL_HOME": str(home)},
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


def appears(sign, process):
    """Wait for a file that the demo writes."""
    wait_until(sign.exists, f"the demo's {sign.name}", seconds=1200, alive=process)


def copy_as_cut(process, home, image):
    """Copy what the disk holds at one moment, as a power cut would leave it."""
    stopped = [psutil.Process(process.pid)]
    stopped += stopped[0].children(recursive=True)
    for one in stopped:
        one.suspend()
    wait_until(
        lambda: all(one.status() == psutil.STATUS_STOPPED for one in stopped), "a demo at rest"
    )
    shutil.copytree(home, image)
    for one in stopped:
        one.resume()


@pytest.fixture(scope="module")
def played(repository, tmp_path_factory):
    """Play the demo in one go; return its figures, its home and what was there in a training."""
    folder = tmp_path_factory.mktemp("demo")
    home, image = folder / "home", folder / "cut"
    process = start(repository, home)
    appears(home / "runs/defect_reports/2026Q2-2/1/progress.jsonl", process)
    copy_as_cut(process, home, image)
    return figures(process), home, image


@pytest.fixture(scope="module")
def whole(played):
    """Return the figures of the demo that nothing interrupted."""
    return played[0]


def test_two_cycles_are_promoted_and_the_ledger_balances(whole):
    """Calendar and drift each bring a release; nothing is lost and nothing counts twice."""
    assert whole["ledger balances"]
    assert [(c["trigger"], c["status"]) for c in whole["cycles"]] == [
        ("calendar", "promoted"),
        ("drift", "promoted"),
    ], [c["reason"] for c in whole["cycles"]]


def test_the_second_release_was_a_shadow_and_a_canary_before(whole):
    """On what clients asked the gateway; the first replaced the bare base at once.

    Its first canary was taken back while its replica failed, and passed once that was mended.
    """
    assert [(s["stage"], s["outcome"]) for s in whole["stages"]] == [
        ("shadow", "advanced"),
        ("canary 50%", "rolled_back"),
        ("canary 50%", "promoted"),
    ]
    (reason,) = whole["taken back"]
    assert "canary of 50 %: worse: errors: the candidate's rate is higher: +100.0%" in reason
    first, again = whole["cycles"][1]["approvals"]
    assert first["void"].startswith("simulated:jon asked for another try of the release: ")
    assert again["void"] == ""
    assert {s["release"] for s in whole["stages"]} == {whole["champion"]}


def test_answers_get_better(whole):
    """On the control slice the month after each promotion is better than the month before."""
    for promotion in whole["promotions"]:
        assert promotion["after"]["accuracy"] > promotion["before"]["accuracy"]


def test_a_killed_demo_goes_on_to_the_same_figures(repository, played):
    """Cut off in a training, killed when a shadow and a failing canary were asked, it loses nothing."""
    whole, home, image = played
    home.rename(home.with_name("whole"))
    image.rename(home)
    for day in ("16", "20"):
        process = start(repository, home, start_new_session=True)
        appears(home / f"demo/flywheel.feedback-2026-06-{day}.json", process)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    resumed = figures(start(repository, home))
    assert without_places(resumed, home) == without_places(whole, home)


def test_someone_elses_deployment_is_refused(repository, tmp_path):
    """The demo touches nothing that it did not make."""
    home = tmp_path / "home"
    (home / "lake").mkdir(parents=True)
    process = start(repository, home, stderr=subprocess.PIPE)
    _, errors = process.communicate()

    assert process.returncode == 1
    assert "not the demo's" in errors
    assert list(home.iterdir()) == [home / "lake"]

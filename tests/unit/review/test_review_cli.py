import json

import pytest
from typer.testing import CliRunner

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.cli import dataset, review
from flywheel.dataset.build import build_dataset
from flywheel.errors import NotFoundError
from flywheel.lake.store import Lake
from tests.fakes.review_world import (
    END,
    answer,
    classification,
    correction,
    put_answers,
    put_corrections,
)
from tests.fakes.workload_file import put_workload

WINDOW = ["--since", "2026-01-01", "--until", "2026-01-08"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return the home of a deployment with one workload and a week of answers."""
    home = tmp_path / "home"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLYWHEEL_HOME", str(home))
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(home / "workloads"))
    workload = classification()
    put_workload(home / "workloads", workload)
    lake = Lake(home / "lake")
    put_answers(lake, workload, [answer(number) for number in range(100)])
    put_corrections(lake, workload, [correction(number) for number in range(200, 240)])
    lake.close()
    return home


def run(app, *words, typed=""):
    """Run a command and return its output; an error is raised as it is."""
    result = CliRunner().invoke(app, list(words), input=typed, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_items_go_out_and_judgments_come_back(home):
    """Push, answer, pull and status work one after the other."""
    assert "17 items" in run(review.app, "push", "defects", *WINDOW, "--budget", "21")
    told = run(review.app, "answer", "defects", "--as", "ann", typed="1\n2\n?\ns\nq\n")
    assert "3 judged, 1 skipped" in told
    assert "4 new annotation versions" in run(review.app, "pull", "defects")
    facts = json.loads(run(review.app, "status", "defects", "--json"))
    assert facts["queue"]["items"] == 17
    assert facts["batches"]["2026Q1-20260101"]["by_annotator"] == {"ann": 3}
    shown = run(review.app, "status", "defects")
    assert "2026Q1-20260101" in shown
    # The window lies in an older period than the present one, and is counted there.
    sent = facts["judgments_sent_in_other_periods"]["2026Q1"]
    assert sent > 0
    assert f"2026Q1: {sent} of " in shown


def test_a_window_that_has_a_batch_is_reported_and_not_drawn_again(home):
    """The text says so and the exit code is its own; a later window is drawn."""
    run(review.app, "push", "defects", *WINDOW, "--budget", "5")
    words = ["push", "defects", *WINDOW, "--budget", "20"]
    result = CliRunner().invoke(review.app, words, catch_exceptions=False)
    told = " ".join(result.output.split())
    assert result.exit_code == 3
    assert "2026-01-01 00:00 to 2026-01-08 00:00 UTC has batch 2026Q1-20260101 already" in told
    assert "nothing new was chosen" in told


def test_annotators_are_told_apart_on_a_narrow_terminal(home):
    """Names are whole in 80 columns, and what was not measured has no figure."""
    run(review.app, "push", "defects", *WINDOW, "--budget", "2")
    run(review.app, "answer", "defects", "--as", "ana@an.example", typed="1\nq\n")
    run(review.app, "pull", "defects")
    shown = run(review.app, "annotators", "defects")
    assert "ana@an.example" in shown
    assert "none of 0" in shown
    [facts] = json.loads(run(review.app, "annotators", "defects", "--json"))
    assert (facts["judgments"], facts["gold_checked"], facts["gold_accuracy"]) == (1, 0, None)


def test_export_of_label_studio_is_pulled_by_name(home, tmp_path):
    """A file taken from Label Studio fills the corrections."""
    run(review.app, "push", "defects", *WINDOW, "--budget", "2")
    path = next((home / "queue" / "defects").glob("*.json"))
    task = json.loads(path.read_text()) | {"project": 9}
    task["annotations"] = [
        {
            "id": 1,
            "completed_by": {"email": "ann@plant.example"},
            "result": [{"from_name": "label", "value": {"choices": ["oil fault"]}}],
            "created_at": "2026-01-09T10:00:00Z",
            "updated_at": "2026-01-09T10:00:00Z",
        }
    ]
    export = tmp_path / "export.json"
    export.write_text(json.dumps([task]))
    told = run(review.app, "pull", "defects", "--file", str(export))
    assert "1 annotations added" in " ".join(told.split())
    assert "1 accepted" in " ".join(told.split())


def test_snapshots_are_listed_shown_and_searched(home):
    """Dataset show verifies a snapshot; where finds a row."""
    lake = Lake(home / "lake")
    opened = OpenedWorkload(CycleRef("defects", "2026Q2-1"), classification())
    snapshot = build_dataset(lake, opened, home=home, now=END)
    lake.close()
    assert snapshot.hash[:12] in run(dataset.app, "show", "defects")
    facts = json.loads(run(dataset.app, "show", "defects", snapshot.hash[:6], "--json"))
    assert facts["counts"] == snapshot.counts
    assert "hash verified" in run(dataset.app, "show", "defects", snapshot.hash, "--rows", "1")
    assert "2026Q2-1" in run(dataset.app, "where", "defects", "--inference", "i00201")
    with pytest.raises(NotFoundError):
        run(dataset.app, "show", "defects", "ffff")


def test_push_and_pull_answer_in_json(home):
    """The facts of both are one JSON value."""
    pushed = json.loads(run(review.app, "push", "defects", *WINDOW, "--budget", "21", "--json"))
    assert pushed["batches"][0]["items"] == 17
    run(review.app, "answer", "defects", "--as", "ann", typed="1\n2\nq\n")
    pulled = json.loads(run(review.app, "pull", "defects", "--json"))
    assert pulled["merge"]["annotations"] == 2
    assert all(isinstance(count, int) for count in pulled["merge"]["corrections"].values())

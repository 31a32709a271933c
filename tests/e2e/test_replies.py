"""Replies to customers from their seed to a gate, by the commands a person types.

Only the training and what the models answer are made up: no model small enough for a test writes
replies. Everything else is real, by the commands that people use.
"""

import csv
import json
import re
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from flywheel.artifacts.snapshot import read_rows
from flywheel.client import open_client
from flywheel.desk.app import build_app as build_desk
from flywheel.evaluate.run import run_gate
from flywheel.release.card_facts import read_card_facts
from flywheel.usecases.cycle import assemble_dataset
from flywheel.usecases.people import add_person
from flywheel.wiring import open_platform
from tests.fakes.commands import run_flywheel
from tests.fakes.desk_world import ADDRESS
from tests.fakes.model_server import FakeModelServer
from tests.fakes.replies import DISCLAIMER, draft, replies, reply, ticket
from tests.fakes.stand_in_release import stand_in_release
from tests.fakes.workload_file import put_workload

pytestmark = pytest.mark.timeout(300)

SEEDS, CALLS, SENT = range(200, 290), range(30), range(30, 60)
SETTINGS = {
    "minimum_examples": 40,
    "golden_size": 40,
    "base_model": "tiny",
    "review": {"budget": 60, "overlap": 0, "gold": 0, "label_checks": 0},
    "training": {"maximum_tokens": 512, "preference": {"minimum_pairs": 1}},
}
SETTINGS["review"] |= {"near_duplicate": 1}
SETTINGS["review"]["shares"] = {"control": 0.4, "uncertain": 0.5, "novel": 0.1, "flagged": 0}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return the folder of a deployment with the workload's file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(tmp_path))
    put_workload(tmp_path, replies(**SETTINGS))
    return tmp_path


def number_of(text):
    """Return the number of a ticket."""
    return int(re.search(r"order (\d+)", text)[1]) - 1000


def write_seed(home):
    """Write accepted replies as a table; one of them breaks a rule."""
    with (home / "seed.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, ["ticket", "reply"])
        rows.writeheader()
        for number in SEEDS:
            rows.writerow({"ticket": ticket(number), "reply": reply(number)})
        rows.writerow({"ticket": ticket(777), "reply": f"We guarantee it. [KB-1]\n{DISCLAIMER}"})


def write_traffic(home):
    """Write the log of a hasty model, as another vendor's client does."""
    lines = []
    for number in CALLS:
        said = {"role": "assistant", "content": draft(number)}
        messages = [{"role": "user", "content": ticket(number)}]
        record = {
            "timestamp": f"2026-03-{number % 20 + 1:02d}T{number // 20:02d}:00:00+00:00",
            "request": {"model": "m", "messages": messages},
            "response": {"model": "m", "choices": [{"index": 0, "message": said}]},
        }
        lines.append(json.dumps(record))
    (home / "calls.jsonl").write_text("\n".join(lines), encoding="utf-8")


def send_calls():
    """Let an application report what the hasty model answered, and how sure it was."""
    with open_client(client_id="desk") as client:
        for number in SENT:
            said = {"role": "assistant", "content": draft(number)}
            client.send_call(
                "replies",
                request={"model": "m", "messages": [{"role": "user", "content": ticket(number)}]},
                response={"model": "m", "choices": [{"index": 0, "message": said}]},
                output=draft(number),
                confidence=0.5,
                timestamp=datetime(2026, 3, 2, 0, number, tzinfo=UTC),
            )


def typed_for(task):
    """Return what a careful person types: all of it, nothing, or the words that are wrong."""
    right = reply(number_of(task.input))
    if task.suggestion is None:
        return ["t", *right.split("\n"), ".", ""]
    if task.suggestion == right:
        return [""]
    if DISCLAIMER in task.suggestion:
        return ["It is sad that => We are sorry that", ""]
    return ["t", *right.split("\n"), ".", ""]


def open_cycle(platform, workload):
    """Open a cycle: `flywheel cycle open` asks for a built base, and none that fits is small."""
    return platform.state.cycles.open(
        workload,
        trigger="manual",
        opened_by="ann",
        reason="a first model",
        watermark=platform.clock.now(),
        snapshot=workload.model_dump(mode="json", by_alias=True),
    )


def check_report(report):
    """Look at the figures of both arms: drafts need edits, replies none."""
    assert report.outcome == "pass", report.reasons
    base, new = report.arm("golden", "champion").text, report.arm("golden", "candidate").text
    assert base.edit_rate > 0.3
    assert base.rules["disclaimer"].kept < 1
    assert (new.edit_rate, new.edit_distance, new.all_rules) == (0, 0, 1)
    assert report.check("rule:escalation").value == 1
    assert report.texts[0].lower > 0


def check_pages(platform, cycle):
    """Look at the desk: figures of the texts, and what people changed in the champion's."""
    token = add_person(platform, "Ada", roles=("admin",), by="Ada", token=None).token
    browser = TestClient(
        build_desk(platform), base_url=ADDRESS, headers={"origin": ADDRESS}, follow_redirects=False
    )
    assert browser.post("/sign-in", data={"token": token}).status_code == 303
    address = f"/workloads/replies/cycles/{cycle.name}"
    page = browser.get(address).text
    assert "Texts against the accepted ones" in page
    assert "rule:disclaimer" in page
    cases = browser.get(f"{address}/cases?change=fixed").text
    assert re.search(r"<del>[^<]*sad", cases) or f"<ins>{DISCLAIMER}" in cases.replace("\n", "")


def test_replies_go_from_seed_to_gate(home):
    """Seed, logs, edited drafts, corrections, dataset with pairs, and a gate on texts and rules."""
    write_seed(home)
    write_traffic(home)
    seed = ("import", "seed.csv", "-w", "replies", "--text", "ticket", "--label", "reply")
    assert "91 of 91" in run_flywheel(*seed)
    assert "30 records" in run_flywheel("import", "calls.jsonl", "-w", "replies")
    run_flywheel("ingest")
    send_calls()
    run_flywheel("ingest")
    window = ("--since", "2026-03-01", "--until", "2026-03-25", "--budget", "40")
    run_flywheel("review", "push", "replies", *window)
    platform = open_platform()
    workload = platform.workload("replies")
    tasks = platform.desk.open_items(workload, "ann")
    assert len(tasks) > 12
    assert any(task.suggestion for task in tasks)
    typed = [*(word for task in tasks for word in typed_for(task)), ""]
    shown = run_flywheel(
        "review", "answer", "replies", "--as", "ann", typed="\n".join(typed) + "\n"
    )
    assert f"{len(tasks)} judged, 0 skipped, 0 left" in shown, shown
    assert "breaks a rule: the disclaimer is missing" in shown
    assert f"{len(tasks)} accepted" in run_flywheel("review", "pull", "replies")
    rows = platform.lake.rows(
        "SELECT input, output, original_output FROM latest_corrections WHERE source = 'review'"
    )
    assert [json.loads(row["output"]) for row in rows] == [
        reply(number_of(row["input"])) for row in rows
    ]
    edited = [row for row in rows if row["output"] != row["original_output"]]
    assert 0 < len(edited) < len(rows)
    cycle = open_cycle(platform, workload)
    snapshot = assemble_dataset(platform, cycle.ref)
    assert snapshot.counts["golden"] == 40
    [left_out] = platform.lake.rows(
        "SELECT count(*) AS n FROM dataset_rows WHERE reason = 'breaks_rules'"
    )
    assert left_out["n"] == 1
    train, pairs = (read_rows(snapshot.folder, name) for name in ("train", "preference"))
    assert all(row["output"] == reply(number_of(row["input"])) for row in train)
    assert pairs
    assert all(pair["chosen"] != pair["rejected"] for pair in pairs)
    release, codec = stand_in_release(platform, workload, cycle, snapshot)
    assert [codec.decode(codec.encode(row["output"])) for row in train] == [
        row["output"] for row in train
    ]
    answers = {
        "base": lambda text: draft(number_of(text)),
        release: lambda text: reply(number_of(text)),
    }
    report = run_gate(
        platform.lake,
        platform.state,
        FakeModelServer(answers),
        cycle.opened,
        attempt=1,
        candidate=release,
        dataset=snapshot.folder,
        codec=codec,
        folder=home / "run",
    )
    check_report(report)
    check_pages(platform, cycle)
    released = platform.state.releases.get(release)
    assert read_card_facts(platform.lake, cycle.opened, released).confusions == ()
    platform.close()
    shown = run_flywheel("gate", "replies", cycle.name)
    assert "edit similarity" in shown
    assert "chrF" in shown
    assert "kept in" in shown

"""Invoices with nested line items from their seed to a gate, by the commands a person types.

Only the training and what the models answer are made up: no model small enough for a test copies
text. Everything else is real, by the commands and the client that people and programs use.
"""

import csv
import json
import re

import pytest

from flywheel.artifacts.snapshot import read_rows
from flywheel.client import open_client
from flywheel.evaluate.run import run_gate
from flywheel.usecases.cycle import assemble_dataset
from flywheel.wiring import open_platform
from tests.fakes.commands import run_flywheel
from tests.fakes.invoices import SCHEMA, invoice, invoices, noisy
from tests.fakes.model_server import FakeModelServer
from tests.fakes.stand_in_release import stand_in_release
from tests.fakes.workload_file import put_workload

pytestmark = pytest.mark.timeout(300)

SEEDS, CALLS = range(200, 290), range(60)
SETTINGS = {
    "minimum_examples": 40,
    "golden_size": 40,
    "base_model": "tiny",
    "review": {"budget": 60, "overlap": 0, "gold": 0, "label_checks": 0, "shares": None},
    # So few cases show wide differences alone.
    "gates": {"margin": 0.3, "field_minimum": {"total": 0.8, "line_items[].quantity": 0.8}},
}
SETTINGS["review"]["shares"] = {"control": 0.5, "uncertain": 0.2, "novel": 0.2, "flagged": 0.1}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return the folder of a deployment with the workload's file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(tmp_path))
    put_workload(tmp_path, invoices(**SETTINGS))
    return tmp_path


def write_seed(home):
    """Write half of the seed as a CSV with a JSON column, half as JSONL."""
    half = len(SEEDS) // 2
    with (home / "seed.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, ["text", *SCHEMA["properties"]])
        rows.writeheader()
        for text, answer in map(invoice, SEEDS[:half]):
            items = json.dumps(answer["line_items"])
            rows.writerow({"text": text, **answer, "line_items": items})
    lines = [json.dumps({"text": t, "output": a}) for t, a in map(invoice, SEEDS[half:])]
    (home / "seed.jsonl").write_text("\n".join(lines), encoding="utf-8")


def write_traffic(home):
    """Write the log of a model that errs in every third invoice, as another vendor's client does."""
    lines = []
    for number in CALLS:
        text, answer = invoice(number)
        said = {"role": "assistant", "content": json.dumps(noisy(number, answer))}
        lines.append(
            json.dumps(
                {
                    "timestamp": f"2026-03-{number % 20 + 1:02d}T{number // 20:02d}:00:00+00:00",
                    "request": {"model": "m", "messages": [{"role": "user", "content": text}]},
                    "response": {"model": "m", "choices": [{"index": 0, "message": said}]},
                }
            )
        )
    (home / "calls.jsonl").write_text("\n".join(lines), encoding="utf-8")


def complain():
    """Let the users of ten wrong answers press the thumb down."""
    platform = open_platform()
    found = platform.lake.rows("SELECT inference_id, input, output FROM first_inferences")
    wrong = [row for row in found if json.loads(row["output"]) != truth_of(row["input"])]
    platform.close()
    with open_client(client_id="accounts") as client:
        for row in wrong[:10]:
            call = row["inference_id"]
            client.send_feedback("invoices", call, kind="boolean", value=False, author="clerk")


def truth_of(text):
    """Return the right answer to an invoice."""
    return invoice(int(re.search(r"INV-(\d+)", text)[1]))[1]


def line(item):
    """Write a line item as a person types it."""
    cells = [item["description"].replace("|", "\\|"), item["quantity"], item["unit_price"]]
    return " | ".join(map(str, [*cells, *([item["sku"]] if "sku" in item else [])]))


def typed_for(task):
    """Return what a careful person types: everything, nothing, or the one field that is wrong."""
    right = truth_of(task.input)
    if task.suggestion is None:
        fields = [right[name] for name in ("vendor", "number", "date", "total", "currency")]
        items = [line(item) for item in right["line_items"]]
        return [*map(str, fields), right.get("po_number", ""), *items, ""]
    if task.suggestion == right:
        return [""]
    if task.suggestion["total"] != right["total"]:
        return ["total", str(right["total"]), ""]
    cleared = ["-"] if task.suggestion["line_items"] else []
    return ["line items", *cleared, *(line(item) for item in right["line_items"]), "", ""]


def candidate(text):
    """Answer as a candidate that learned everything but the last order number."""
    right = dict(truth_of(text))
    if right["number"].endswith("7"):
        right.pop("po_number", None)
    return right


def test_invoices_go_from_seed_to_gate(home):
    """Seed, traffic, review in the terminal, corrections, dataset, gate with figures per field."""
    write_seed(home)
    write_traffic(home)
    assert "45 of 45" in run_flywheel("import", "seed.csv", "-w", "invoices")
    assert "45 of 45" in run_flywheel(
        "import", "seed.jsonl", "-w", "invoices", "--answer", "output"
    )
    assert "60 records" in run_flywheel("import", "calls.jsonl", "-w", "invoices")
    run_flywheel("ingest")
    complain()
    run_flywheel("ingest")
    window = ("--since", "2026-03-01", "--until", "2026-03-25", "--budget", "40")
    run_flywheel("review", "push", "invoices", *window)
    platform = open_platform()
    tasks = platform.desk.open_items(platform.workload("invoices"), "ann")
    assert len(tasks) >= 20
    slip = ["u", *typed_for(tasks[0])]  # the first one is taken back and answered again
    typed = [*typed_for(tasks[0]), *slip, *(w for task in tasks[1:] for w in typed_for(task)), ""]
    shown = run_flywheel(
        "review", "answer", "invoices", "--as", "ann", typed="\n".join(typed) + "\n"
    )
    assert f"{len(tasks)} judged, 0 skipped, 0 left" in shown, shown
    assert "new category" not in shown
    assert f"{len(tasks)} accepted" in run_flywheel("review", "pull", "invoices")
    rows = platform.lake.rows(
        "SELECT input, output FROM latest_corrections WHERE source = 'review'"
    )
    assert len(rows) == len(tasks)
    assert [json.loads(row["output"]) for row in rows] == [truth_of(row["input"]) for row in rows]
    fields = json.loads(run_flywheel("review", "status", "invoices", "--json"))["fields"]
    assert fields["line_items[].quantity"]["pairs"] == 0
    workload = platform.workload("invoices")
    # `flywheel cycle open` asks for a built base, and none that fits is small enough for a test.
    cycle = platform.state.cycles.open(
        workload,
        trigger="manual",
        opened_by="ann",
        reason="a first model",
        watermark=platform.clock.now(),
        snapshot=workload.model_dump(mode="json", by_alias=True),
    )
    opened = cycle.opened
    assert list(opened.workload.task.json_schema["properties"]) == list(SCHEMA["properties"])
    snapshot = assemble_dataset(platform, cycle.ref)
    assert snapshot.counts["golden"] == 40
    train = read_rows(snapshot.folder, "train")
    assert len(train) >= 40
    assert all(row["output"] == truth_of(row["input"]) for row in train)
    release, codec = stand_in_release(platform, workload, cycle, snapshot)
    assert all(codec.decode(codec.encode(row["output"])) == row["output"] for row in train)
    server = FakeModelServer(
        {
            "base": lambda text: noisy(int(re.search(r"INV-(\d+)", text)[1]), truth_of(text)),
            release: candidate,
        }
    )
    report = run_gate(
        platform.lake,
        platform.state,
        server,
        opened,
        attempt=1,
        candidate=release,
        dataset=snapshot.folder,
        codec=codec,
        folder=home / "run",
    )
    base, new = report.arm("golden", "champion"), report.arm("golden", "candidate")
    assert base.field_scores["line_items[].quantity"].recall < 1
    assert new.field_scores["line_items[].quantity"].recall == 1
    assert new.field_scores["po_number"].precision == 1
    assert new.field_scores["po_number"].recall < 1
    assert report.check("field_floors").outcome == "pass"
    assert report.check("field_minimum:total").outcome == "pass"
    platform.close()
    shown = run_flywheel("gate", "invoices", cycle.name)
    assert "champion→candidate" in shown
    assert re.search(r"golden +line_items\[\]\.description +\d+ +1\.000→1\.000 ", shown)

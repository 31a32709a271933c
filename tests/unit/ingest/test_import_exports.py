"""Files as platforms export them land whole: tables, pages, wrapped records, rows of the database."""

import csv
import json

import pytest

from flywheel.cli import dlq, importing, ingest
from flywheel.events.foreign import hash_subject
from flywheel.ingest.import_lines import read_lines
from flywheel.wiring import open_platform
from tests.fakes.commands import run_command
from tests.fakes.exported_rows import ROWS

_EXPORTS = ("litellm spend log", "tensorzero chat row", "langfuse observation of the blob storage",
            "langfuse observation", "mlflow row of search_traces")  # fmt: skip
_CASES = "SELECT output, subject_id, latency_ms, prompt_tokens, timestamp FROM inferences"


def _cell(value):
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _write_table(path, record):
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, record, quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerow({key: _cell(value) for key, value in record.items()})


@pytest.mark.parametrize("name", _EXPORTS)
def test_a_table_of_a_log_is_the_log(home, tmp_path, name):
    """A CSV export says the same as the JSON; its columns show that it is no labeled file."""
    row = ROWS[name]
    table = tmp_path / "export.csv"
    _write_table(table, row.record)
    said = run_command(importing, str(table), "-w", "reports").stdout
    assert f"1 records of export.csv for reports ({row.format} 1)" in said
    run_command(ingest)
    (case,) = open_platform().lake.rows(_CASES)
    assert json.loads(case["output"]) == "noise"
    assert case["subject_id"] == hash_subject("kim@example.com", "flywheel-embedded")
    assert case["latency_ms"] == row.latency_ms
    assert case["prompt_tokens"] == row.prompt_tokens
    assert case["timestamp"].isoformat()[:19] == row.at
    lines = tmp_path / "export.jsonl"
    lines.write_text(json.dumps(row.record) + "\n")
    said = run_command(importing, str(lines), "-w", "reports").stdout
    assert "imported before  1" in said


def test_a_broken_row_of_a_table_is_a_dead_letter(home, tmp_path):
    """The rows beside it land."""
    table = tmp_path / "export.csv"
    _write_table(table, ROWS["langfuse observation"].record)
    table.write_text(table.read_text("utf-8-sig") + '"cut","short"\n')
    said = run_command(importing, str(table), "-w", "reports").stdout
    assert "parsed         1" in said
    assert "dead: bad_csv  1  line 3: cut short: 2 cells of" in said
    run_command(ingest)
    assert "bad_csv" in run_command(dlq, "groups").stdout


def test_wrapped_records_are_unwrapped(tmp_path):
    """Elasticsearch's hits, one hit a line, a page of spend logs and a trace of Langfuse."""
    record = ROWS["nvidia record"].record
    spend = ROWS["litellm spend log"].record
    seen = ROWS["langfuse observation"].record
    files = {
        json.dumps({"hits": {"total": 1, "hits": [{"_id": "1", "_source": record}]}}): record,
        json.dumps({"_index": "flywheel", "_id": "1", "_source": record}): record,
        json.dumps({"data": [spend], "total": 1, "page": 1, "page_size": 50}): spend,
        json.dumps({"observations": [seen], "scores": []}, indent=1): seen,
        json.dumps({"trace": {"id": "t"}, "observations": [seen]}): seen,
    }
    for text, inside in files.items():
        path = tmp_path / "page.json"
        path.write_text(text)
        assert [line.value for line in read_lines(path)] == [inside]


def test_records_of_another_flywheel_name_their_own_workload(home, tmp_path):
    """--source-workload takes theirs for ours; what was set aside before can be replayed with it."""
    record = ROWS["nvidia record"].record
    log = tmp_path / "nvidia.jsonl"
    other = record | {"workload_id": "agent.chat"}
    log.write_text(f"{json.dumps(record)}\n{json.dumps(other)}\nbroken\n")
    said = run_command(importing, str(log), "-w", "reports").stdout
    assert "dead: unknown_workload  2" in said
    assert "--source-workload ID takes the records of ID" in " ".join(said.split())
    arguments = ("--source-workload", "agent.tool_router")
    said = run_command(importing, str(log), "-w", "reports", *arguments).stdout
    assert "parsed" in said
    run_command(ingest)
    (case,) = open_platform().lake.rows("SELECT workload_id, output FROM inferences")
    assert case == {"workload_id": "reports", "output": '"noise"'}

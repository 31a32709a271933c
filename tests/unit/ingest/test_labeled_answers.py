"""Seeds of nested answers: a JSON cell is JSON, an empty cell of an optional field is absent."""

import csv
import json

import pytest

from flywheel.errors import DataError
from flywheel.ingest.labeled_answers import read_answers
from flywheel.ingest.labeled_file import read_labeled
from flywheel.ingest.seed import import_seed
from flywheel.ingest.seed_check import check_seed
from flywheel.workload.label_mapping import AnswerMapping
from tests.fakes.event_makers import START, make_workload
from tests.fakes.invoices import SCHEMA, invoice, invoices


def pairs_of(content):
    """Return the (text, answer) pairs of a labeled file without problems."""
    assert content.problems == ()
    return [(row.text, row.output) for row in content.rows]


@pytest.fixture
def table(tmp_path):
    """Write ten invoices as a CSV: a column per field, the line items as JSON."""
    path = tmp_path / "seed.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["text", *SCHEMA["properties"]])
        writer.writeheader()
        for number in range(10):
            text, answer = invoice(number)
            items = json.dumps(answer["line_items"])
            writer.writerow({"text": text, **answer, "line_items": items})
    return path


def test_a_csv_with_a_json_column_becomes_the_seed(plane, table):
    """Columns are taken by the names of the fields; what is empty is absent, not ""."""
    rows = pairs_of(read_labeled(table, invoices(), text="text", label=None, fields={}))
    assert rows == [invoice(number) for number in range(10)]
    assert "po_number" not in rows[0][1]
    assert import_seed(plane.lake, invoices(), rows, source_name="seed.csv", now=START) == 10
    stored = plane.lake.rows("SELECT output FROM latest_corrections ORDER BY input")
    mapping = AnswerMapping(invoices())
    assert {mapping.key(json.loads(row["output"])) for row in stored} == {
        mapping.key(answer) for _, answer in rows
    }


def test_the_label_column_may_have_another_name(table):
    """--label names the column of the label field, the others are taken by their names."""
    labels = [{"id": name.lower(), "name": name} for name in ("EUR", "USD", "CHF")]
    task = {"type": "extraction", "schema": SCHEMA, "label_field": "currency"}
    workload = invoices(task=task, taxonomy={"labels": labels})
    table.write_text(table.read_text().replace(",currency,", ",money,", 1))
    rows = pairs_of(read_labeled(table, workload, text="text", label="money", fields={}))
    assert rows == [invoice(number) for number in range(10)]


def test_jsonl_and_a_column_of_whole_answers_become_the_seed(tmp_path):
    """The answer is an object, or JSON inside a string."""
    lines = tmp_path / "seed.jsonl"
    pairs = [invoice(number) for number in range(4)]
    written = [{"text": pairs[0][0], "answer": json.dumps(pairs[0][1])}]
    written += [{"text": text, "answer": answer} for text, answer in pairs[1:]]
    lines.write_text("\ufeff" + "\n\n".join(json.dumps(row) for row in written), encoding="utf-8")
    assert pairs_of(read_answers(lines, invoices(), text="text", answer="answer")) == pairs
    table = tmp_path / "seed.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "answer"])
        rows.writerows([text, json.dumps(answer)] for text, answer in pairs)
    assert pairs_of(read_answers(table, invoices(), text="text", answer="answer")) == pairs


def test_all_bad_lines_are_named_at_once(tmp_path):
    """One run shows everything that is to be corrected."""
    path = tmp_path / "seed.jsonl"
    path.write_text('{"text": "a", "answer": {}}\n[1]\n{"text": "b"}\n{"text": "c", "answer": "{"}')
    content = read_answers(path, invoices(), text="text", answer="answer")
    problems = {problem.line: problem.message for problem in content.problems}
    assert [row.line for row in content.rows] == [1]
    assert list(problems) == [2, 3, 4]
    assert problems[2] == "not a JSON object"
    assert problems[3].startswith("no 'answer'")
    assert problems[4].startswith("'answer' is not JSON")


def test_an_answer_that_breaks_the_schema_is_explained(plane):
    """The row, the field and what to write; nothing is imported."""
    text, answer = invoice(1)
    rows = [invoice(0), (text, answer | {"date": "31.12.2026"})]
    with pytest.raises(DataError) as caught:
        import_seed(plane.lake, invoices(), rows, source_name="a", now=START)
    assert "row 2: date: '31.12.2026' is not a date" in caught.value.message
    assert "write 2026-12-31" in caught.value.message
    assert plane.lake.rows("SELECT count(*) AS n FROM corrections") == [{"n": 0}]


def test_an_empty_cell_is_null_where_the_field_must_be_there(tmp_path):
    """Strict schemas of other vendors require every field and let it be null."""
    schema = {
        "type": "object",
        "required": ["order", "size"],
        "properties": {
            "order": {"type": ["string", "null"]},
            "note": {"type": ["string", "null"]},
            "size": {"type": ["integer", "null"]},
            "paid": {"type": "boolean"},
        },
    }
    workload = make_workload(task={"type": "extraction", "schema": schema}, taxonomy=None)
    path = tmp_path / "seed.csv"
    path.write_text("text,order,note,size,paid\na, , ,3,TRUE\n")
    rows = pairs_of(read_labeled(path, workload, text="text", label=None, fields={}))
    assert rows == [("a", {"order": None, "size": 3, "paid": True})]


def test_a_conversation_is_a_thread_or_messages(plane, tmp_path):
    """A seed's text is stored as a call of the same content would be."""
    messages = [
        {"role": "user", "content": "the pump leaks"},
        {"role": "assistant", "content": "Since when?"},
        {"role": "user", "content": "noon\nor so"},
    ]
    thread = "User: the pump leaks\nAssistant: Since when?\nUser: noon\n\u00a0\u00a0or so"
    workload = make_workload().model_copy(update={"input": "conversation"})
    path = tmp_path / "seed.jsonl"
    texts = [messages, json.dumps(messages[:1]), thread.replace("pump", "belt")]
    lines = [json.dumps({"text": text, "label": "leak"}) for text in texts]
    path.write_text("\n".join(lines), encoding="utf-8")
    content = read_answers(path, workload, text="text", answer="label")
    check = check_seed(workload, content.rows, {})
    assert (content.problems, check.problems) == ((), [])
    assert [row.text for row in check.new] == [
        thread, "User: the pump leaks", thread.replace("pump", "belt"),
    ]  # fmt: skip
    pairs = [(row.text, row.output) for row in content.rows]
    assert import_seed(plane.lake, workload, pairs, source_name="seed", now=START) == 3
    stored = plane.lake.rows("SELECT input FROM latest_corrections")
    assert {row["input"] for row in stored} == {row.text for row in check.new}

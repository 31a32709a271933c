"""Texts in logs, tables and JSON lines."""

import json

from flywheel.drift.profile import category_columns
from flywheel.events.foreign.answers import AnswerReader
from flywheel.ingest.labeled_answers import read_answers
from flywheel.ingest.labeled_file import read_labeled
from tests.fakes.replies import replies, reply, ticket


def test_the_content_of_a_response_is_the_answer():
    """Thoughts are left out, and an empty message is no answer."""
    reader = AnswerReader(replies())
    said = {"choices": [{"message": {"content": f"<think>hm</think>\n{reply(1)}\n"}}]}
    answer = reader.read(said, None)
    assert (answer.kind, answer.output) == ("parsed", reply(1))
    assert reader.read({"choices": [{"message": {"content": " "}}]}, None).kind == "unparseable"
    refused = {"choices": [{"message": {"refusal": "no"}}]}
    assert reader.read(refused, None).kind == "refused"


def test_a_thought_alone_is_no_answer():
    """A model that only thought wrote no text."""
    said = {"choices": [{"message": {"content": "<think>hm</think>"}}]}
    assert AnswerReader(replies()).read(said, None).kind == "unparseable"


def test_accepted_texts_come_from_tables_and_json_lines(tmp_path):
    """A cell with line breaks, and a key of a line, are texts as they stand."""
    table = tmp_path / "seed.csv"
    table.write_text(f'ticket,reply\n"{ticket(1)}","{reply(1)}"\n')
    [row] = read_labeled(table, replies(), text="ticket", label="reply", fields={}).rows
    assert row.output == reply(1)
    lines = tmp_path / "seed.jsonl"
    lines.write_text(json.dumps({"text": ticket(2), "output": reply(2)}))
    [row] = read_answers(lines, replies(), text="text", answer="output").rows
    assert row.output == reply(2)


def test_texts_have_no_categories():
    """Drift looks at the inputs of a generation; no two of its answers are one category."""
    assert set(category_columns(replies())) == {"client", "release"}

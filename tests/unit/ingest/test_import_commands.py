"""`flywheel import` as people type it: labeled files and logs, what is bad in them, what is left."""

import gzip
import json

import pytest

from flywheel.cli import importing, ingest, workloads
from flywheel.errors import ConfigurationError, DataError
from flywheel.events.foreign import hash_subject
from flywheel.usecases.import_seed import golden_note
from flywheel.wiring import open_platform
from tests.fakes.commands import run_command
from tests.fakes.foreign_records import RECORDS, REQUEST


def test_labeled_rows_and_records_are_imported(home, tmp_path):
    """A CSV becomes the seed, a JSONL events; the CSV again adds nothing, one that grew its rows."""
    table = tmp_path / "seed.CSV"
    table.write_text("report,kind\nit hums,noise\noil,leak\n")
    arguments = [str(table), "-w", "reports", "--text", "report", "--label", "kind"]
    said = run_command(importing, *arguments).stdout
    assert "2 of 2" in said
    assert "about 2 are left to train on" in said
    assert "0 of 2" in run_command(importing, *arguments).stdout
    table.write_text("report,kind\nit hums,noise\noil,leak\nwater, Leak\n")
    assert "1 of 3" in run_command(importing, *arguments).stdout
    assert open_platform().lake.rows("SELECT count(*) AS n FROM corrections") == [{"n": 3}]
    chat = {
        "messages": [{"role": "user", "content": "it hums"}, {"role": "assistant", "content": "?"}]
    }
    records = tmp_path / "log.jsonl"
    records.write_text(json.dumps(chat) + "\nnonsense\n")
    said = run_command(importing, str(records), "-w", "reports").stdout
    assert "2 records of log.jsonl for reports (chat 1)" in said
    assert "unparseable     1  line 1: '?' is not a label" in said
    assert "dead: bad_json  1  line 2: not JSON" in said
    assert "note: 1 (line 1) has no time" in said
    assert json.loads(run_command(ingest, "--json").stdout)["landed"] == {"reports": 1}
    figures = json.loads(run_command(importing, str(records), "-w", "reports", "--json").stdout)
    assert figures["imported_before"] == {"count": 1, "lines": [1], "example": None}


def test_all_bad_rows_are_named_at_once_and_may_be_skipped(home, tmp_path):
    """Nothing is imported before; with --skip-bad the good rows are."""
    table = tmp_path / "seed.csv"
    table.write_text("text;label\na;leak\n;leak\nb;rust\nc;leak\nc;crack\nd;\n e ; NOISE\n")
    arguments = [str(table), "-w", "reports", "--label", "label"]
    with pytest.raises(DataError) as caught:
        run_command(importing, *arguments)
    assert caught.value.message.splitlines() == [
        "5 rows of seed.csv cannot be used, and nothing was taken:",
        "  line 3: no text",
        "  line 4: 'rust' is not a label of reports",
        "  lines 5, 6: one text with different answers: 'leak' (line 5) and 'crack' (line 6)",
        "  line 7: no label",
    ]
    said = run_command(importing, *arguments, "--skip-bad").stdout
    assert "2 of 7 labeled rows are new." in said
    assert "'NOISE' was read as 'noise' (line 8)." in said
    table.write_text("text,label\ne,leak\n")
    with pytest.raises(DataError, match="was imported before as 'noise', not 'leak'"):
        run_command(importing, *arguments)
    assert run_command(importing, *arguments, "--skip-bad").exit_code == 1


def test_the_person_of_a_labeled_row_is_hashed(home, tmp_path):
    """A named column becomes the subject."""
    table = tmp_path / "seed.csv"
    table.write_text("text,label,mail\na,leak,jane@example.com\nb,crack,\n")
    run_command(importing, str(table), "-w", "reports", "--label", "label", "--subject", "mail")
    rows = open_platform().lake.rows("SELECT subject_id FROM corrections ORDER BY input")
    assert rows == [{"subject_id": hash_subject("jane@example.com", "flywheel-embedded")},
                    {"subject_id": None}]  # fmt: skip


def test_an_import_without_anything_good_fails(home, tmp_path):
    """A script sees it by the exit code."""
    records = tmp_path / "log.jsonl"
    records.write_text("a\nb\n")
    assert run_command(importing, str(records), "-w", "reports").exit_code == 1


def test_other_files_and_options_are_refused(home, tmp_path):
    """A suffix nobody knows needs --format; a wrong option is named with the choices."""
    with pytest.raises(ConfigurationError, match="neither CSV nor JSONL"):
        run_command(importing, str(tmp_path / "a.xlsx"), "-w", "reports")
    log = tmp_path / "a.log"
    log.write_text(
        '{"request": {"messages": [{"role": "user", "content": "a"}]}, "response": "leak"}'
    )
    assert run_command(importing, str(log), "-w", "reports", "--format", "openai").exit_code == 0
    for option, value, words in [
        ("--field", "category", "NAME=COLUMN"),
        ("--separator", "space", "no separator 'space'"),
    ]:
        with pytest.raises(ConfigurationError, match=words):
            run_command(
                importing, str(tmp_path / "a.csv"), "-w", "reports", "--label", "x", option, value
            )
    for option, value, words in [
        ("--format", "xml", "no format 'xml'"),
        ("--timezone", "Europe/Berln", "no time zone"),
        ("--time", "noon", "--time: 'noon' is not a time"),
    ]:
        with pytest.raises(ConfigurationError, match=words):
            run_command(importing, str(log.with_suffix(".jsonl")), "-w", "reports", option, value)


def test_a_batch_takes_its_requests_from_its_input(home, tmp_path):
    """By custom_id; without them each line says what is missing."""
    output, asked = tmp_path / "out.jsonl", tmp_path / "in.jsonl"
    record, _ = RECORDS["batch"]
    output.write_text(json.dumps(record))
    asked.write_text(json.dumps({"custom_id": "t-1", "method": "POST", "body": REQUEST}))
    assert "custom_id 't-1' is in no file of --requests" in " ".join(
        run_command(importing, str(output), "-w", "reports").stdout.split()
    )
    said = run_command(importing, str(output), "-w", "reports", "--requests", str(asked)).stdout
    assert "parsed       1" in said


def test_a_golden_set_that_takes_most_of_the_seed_says_what_is_left():
    """603 rows and a golden size of 300 do not leave 603 to train on."""
    counts = {f"label {number}": 50 for number in range(12)} | {"rare": 3}
    said = golden_note(300, counts, 500)
    assert "Of the 603 rows of the seed the golden set" in said
    assert (
        "never trained, takes up to 300; about 303 are left to train on. A smaller golden_size"
        in said
    )
    assert "480 more are needed" in golden_note(300, {"a": 20}, 500)


def test_init_and_import_judge_a_file_alike(home, tmp_path):
    """The same problems, the same lines, the same words."""
    table = tmp_path / "seed.csv"
    table.write_text(" text ;label\na;leak\n\n;leak\nc;Leak \nc;crack\nd;\ne;crack\n")
    refused = []
    for module, *arguments in [
        (workloads, "init", "others", "--from-csv", str(table)),
        (importing, str(table), "-w", "reports", "--label", "label"),
    ]:
        with pytest.raises(DataError) as caught:
            run_command(module, *arguments)
        refused.append(caught.value.message)
    assert refused[0] == refused[1]
    assert "line 4: no text" in refused[0]
    said = run_command(workloads, "init", "others", "--from-csv", str(table), "--skip-bad").stdout
    assert "with 2 labels" in said
    assert "about 2 are left to train on" in said


def test_a_seed_takes_no_text_that_an_event_may_not_hold(home, tmp_path):
    """U+0000 ends a text for some readers; a log refuses it, and so does a labeled file."""
    table = tmp_path / "seed.csv"
    table.write_bytes(b"text,label\nit\0hums,noise\n")
    with pytest.raises(DataError, match=r"line 2: the text holds the character U\+0000"):
        run_command(importing, str(table), "-w", "reports", "--label", "label")


def test_labeled_jsonl_may_be_packed(home, tmp_path):
    """As the help says, whichever option names the answer."""
    lines = tmp_path / "seed.JSONL.gz"
    row = {"text": "it hums", "label": "noise"}
    lines.write_bytes(gzip.compress(json.dumps(row).encode()))
    assert (
        "1 of 1" in run_command(importing, str(lines), "-w", "reports", "--answer", "label").stdout
    )

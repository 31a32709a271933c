import re

import pytest
from typer.testing import CliRunner

from flywheel.cli.workloads import app
from flywheel.workload.chat_prompt import ChatPrompt
from flywheel.workload.files import load_workload


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Run `flywheel init` in an empty folder and return what it prints."""
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(tmp_path))
    result = CliRunner().invoke(app, ["init", "tickets"], catch_exceptions=False)
    return re.sub(r"\s+", " ", result.stdout)


def test_init_says_what_its_defaults_cannot_see(written):
    """Seventy-nine control items a quarter cannot show a fall of 0.05: said before anybody waits."""
    assert "note: 79 control items a quarter" in written
    assert "a fall of 0.05 (drift.quality_drop) is never seen" in written


def test_the_next_command_can_be_pasted(tmp_path, monkeypatch):
    """A column with a blank in its name is quoted."""
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(tmp_path))
    file = tmp_path / "seed.csv"
    file.write_text("Ticket Text,Label\nlost it,loss\nbroke it,damage\n")
    words = ["init", "tickets", "--from-csv", str(file), "--label-column", "Label"]
    result = CliRunner().invoke(app, [*words, "--text-column", "Ticket Text"])
    assert f"flywheel import {file} --workload tickets --text 'Ticket Text'" in result.stdout


def test_the_notes_explain_their_words(written):
    """Control items and the golden set are said in words where a newcomer first meets them."""
    assert "control items a quarter (inputs drawn at random, from whose review" in written
    assert "a fall of 0.37 or more by its end, where the accuracy is 0.90" in written


def test_the_base_model_is_chosen_where_the_file_is_written(tmp_path, monkeypatch):
    """A first look needs no edit of the file."""
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(tmp_path))
    CliRunner().invoke(app, ["init", "tickets", "--base-model", "tiny"], catch_exceptions=False)
    assert "\nbase_model: tiny # tiny" in (tmp_path / "tickets.yaml").read_text()


@pytest.mark.parametrize("task", ["classification", "extraction"])
@pytest.mark.parametrize(
    ("base", "files", "is_chat"),
    [
        ("tiny", {}, False),
        ("smollm2", {}, True),
        ("folder", {"chat_template.jinja": "{{ messages }}"}, True),
        ("folder", {"tokenizer_config.json": '{"chat_template": "x"}'}, True),
        ("folder", {"tokenizer_config.json": "{}"}, False),
        ("folder", {}, False),
    ],
)
def test_a_base_with_a_template_gets_a_chat(tmp_path, monkeypatch, task, base, files, is_chat):
    """What `init` writes is turns where the base model has a template of its own."""
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(tmp_path))
    if base == "folder":
        (tmp_path / base).mkdir()
        base = str(tmp_path / base)
    for name, text in files.items():
        (tmp_path / "folder" / name).write_text(text)
    words = ["init", "tickets", "--base-model", base, "--task", task]
    CliRunner().invoke(app, words, catch_exceptions=False)
    prompt = load_workload(tmp_path / "tickets.yaml").prompt
    assert isinstance(prompt, ChatPrompt) == is_chat

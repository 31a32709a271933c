"""Texts of clients in what Dagster, cards, gate reports and alerts show."""

from types import SimpleNamespace

import pytest

from flywheel.io.alerting import Alert, AlertSender, slack_payload
from flywheel.io.markdown import escape_markdown
from flywheel.orchestration.presentation import markdown_table, plain_text
from tests.fakes.hostile_texts import HOSTILE_TEXTS

CONTROLS = set("\x00\x1b\x9b\x7f\r\u202e\u2066\u2028\ud800")
HOSTILE = "x\x1b[31m \x9b \u202egpj.exe \ud800 <b>&lt; [red]a[/red]\n\n# title `c` \u2028 *b*"


@pytest.mark.parametrize("text", [HOSTILE, *HOSTILE_TEXTS])
def test_markdown_holds_one_line_of_plain_text(text):
    """No control or turned direction, no line of its own, no tag."""
    written = escape_markdown(text)
    assert not CONTROLS & set(written)
    assert "\n" not in written
    assert "<b>" not in written
    assert "<img" not in written.replace("\\<", "")
    written.encode()


def test_a_word_of_a_megabyte_is_cut():
    """In a cell, in a text, and in both parts of Slack's message, its link included."""
    word = "w" * 1_000_000
    assert len(markdown_table([{"word": word, "n": 1}]).value) < 1_000
    assert len(plain_text(word)) < 3_000
    payload = slack_payload(Alert("approval", "parts", word, "do it", "http://127.0.0.1:3000/x"))
    section = payload["blocks"][1]["text"]["text"]
    assert len(section) <= 3_000
    assert section.endswith("next: do it\n<http://127.0.0.1:3000/x|open it>")
    assert len(payload["text"]) <= 3_000


def test_slack_is_cut_between_characters():
    """Half an entity would show as it is."""
    section = slack_payload(Alert("k", "w", "&" * 5_000))["blocks"][1]["text"]["text"]
    assert set(section.split(";")) == {"&amp", ""}


def test_alerts_hold_codes():
    """Slack's and mail's texts move nothing; a lone surrogate does not stop the mail."""
    alert = Alert("approval", "parts", HOSTILE, HOSTILE)
    blocks = slack_payload(alert)
    assert not CONTROLS & set(blocks["text"] + blocks["blocks"][1]["text"]["text"])
    sender = AlertSender(recipients=("ann@example.org",), smtp_url="smtp://x")
    message = sender._message(alert)
    assert not (CONTROLS - {"\r"}) & set(message.get_content())
    assert b"[U+D800]" in message.as_bytes()


def test_home_and_paths_with_brackets_are_printed_as_they_are(monkeypatch, tmp_path):
    """Rich takes ``[/x]`` in a title for markup, and ends with an error."""
    import io

    from flywheel.cli import doctor
    from flywheel.cli.console import Console

    screen = io.StringIO()
    monkeypatch.setattr(doctor, "_console", Console(file=screen, width=300))
    settings = SimpleNamespace()
    monkeypatch.setattr(doctor, "masked", lambda text, _: text)
    doctor._show(SimpleNamespace(home="/data/[/red]x", settings=settings), [])
    assert "/data/[/red]x" in screen.getvalue()

"""Texts of clients that would move, relink or reverse what a terminal shows."""

import io
import json
from types import SimpleNamespace

import pytest
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console, echo
from flywheel.cli.facts import print_facts
from flywheel.cli.set_aside import show_set_aside
from flywheel.io.spelling import show_controls

HOSTILE = (
    "a\x1b[2J\x1b]8;;http://evil\x1b\\link\x07 \x9b31m \x7f\b\r \u202egpj.exe \u2066x\u2069 \u2028"
)
SENT = set("\x1b\x07\x9b\x7f\b\r\u202e\u2066\u2069\u2028")


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("form", [str, Text, "table"])
def test_console_sends_no_control_of_a_text(terminal, form):
    """Rich strips five of the controls alone; the colors that a command asks for are sent."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=300, color_system="standard")
    if form == "table":
        shown = Table(title=HOSTILE)
        shown.add_column(HOSTILE)
        shown.add_row(Text(HOSTILE))
    else:
        shown = form(HOSTILE)
    console.print(shown, markup=False)
    colored = io.StringIO()
    Console(file=colored, force_terminal=True, color_system="standard").print("x", style="red")

    seen = screen.getvalue()
    assert not {"\x9b", "\x7f", "\u202e", "\u2066", "\u2028"} & set(seen)
    assert "\x1b[2J" not in seen
    assert "\x1b]8" not in seen
    assert "[U+001B]" in seen.replace("\x1b[3m", "").replace("\x1b[1m", "")
    assert colored.getvalue().startswith("\x1b[31m")


def test_ordinary_texts_are_printed_as_they_are(capsys):
    """Letters of any script, emoji with their joiners, lines and tabs."""
    text = "größer\tنشت 漏れ 👩‍🔧 10\u00a0000\nsecond line"
    assert show_controls(text) == text
    echo(text)
    assert capsys.readouterr().out == text + "\n"


def test_lines_and_facts_hold_codes(capsys):
    """A line, what was set aside, and facts as JSON."""
    echo(f"1: {HOSTILE}")
    aside = SimpleNamespace(id="a1", author=HOSTILE, item_id=None, reason=HOSTILE)
    show_set_aside(Console(width=500), [aside], HOSTILE)
    print_facts({"reason": HOSTILE})

    seen = capsys.readouterr().out
    assert not (SENT - {"\x7f"}) & set(seen)
    assert "[U+202E]gpj.exe" in seen
    assert json.loads(seen.splitlines()[-1]) == {"reason": HOSTILE}

"""Untrusted text in Markdown stays text, whoever shows it."""

import html
import re

import pytest
from markdown_it import MarkdownIt

from flywheel.io.markdown import escape_markdown

HOSTILE = [
    "[x](javascript:1)\n# head | <img src=x> `code` &amp;",
    "\\[x\\](http://evil)",
    "\\",
    "![i](http://c) ** __ ~~ $x$",
    "# top",
    "- <img src='x'>",
    "+ item",
    "=====",
    "1. item",
    "12) item",
    "> said",
    "see https://evil.example/x or www.evil.example or a@evil.example",
    "line one\r\nline | two\u2028line three",
    "<!-- x -->",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_of_it_becomes_markup(text):
    """No link, image, list, heading, table or tag: one paragraph with the text."""
    shown = MarkdownIt("commonmark", {"html": True}).render(escape_markdown(text)).strip()
    assert set(re.findall(r"<(/?\w+)", shown)) == {"p", "/p"}
    assert html.unescape(shown.removeprefix("<p>").removesuffix("</p>")) == " ".join(text.split())


def test_no_address_becomes_a_link():
    """GitHub's dialect, which Dagster's pages read, makes links of bare addresses."""
    escaped = escape_markdown("see https://evil.example, WWW.evil.example or a@evil.example")
    assert not {"://", "@"} & {escaped[i : i + n] for n in (1, 3) for i in range(len(escaped))}
    assert "www." not in escaped.lower()


def test_a_cell_of_a_table_stays_one_cell():
    """Bars and line ends would make cells and rows."""
    cell = escape_markdown("a|b\nc \\| d")
    shown = MarkdownIt("commonmark").enable("table").render(f"| x |\n| --- |\n| {cell} |")
    assert shown.count("<td>") == 1
    assert "a|b c \\| d" in html.unescape(shown)


def test_plain_text_is_left_as_it_is():
    """A source that people read too: stops, dashes and colons are no markup inside a line."""
    assert escape_markdown("valid: 3.5 - 4, done.") == "valid: 3.5 - 4, done."
    assert escape_markdown(12) == "12"

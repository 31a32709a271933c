"""Spellings of one label, and characters that nobody sees."""

from flywheel.io.folding import label_key
from flywheel.io.spelling import Spellings, show_invisible, trim


def test_case_and_blanks_make_no_other_label():
    """Unless two labels differ in nothing else."""
    spellings = Spellings(["Sales", "Paint defect", "US", "us"])
    assert spellings.find(" sales ") == "Sales"
    assert spellings.find("paint\u00a0DEFECT\u200b") == "Paint defect"
    assert spellings.find("US") == "US"
    assert spellings.find("Us") is None
    assert spellings.find("Sale") is None
    assert label_key("Straße") == label_key("STRASSE")


def test_what_cannot_be_seen_is_shown():
    """No-break spaces, direction marks and line breaks, on one line."""
    assert show_invisible("paint\u00a0defect") == "paint[U+00A0]defect"
    assert show_invisible("a\u202eb\nc\x1b") == "a[U+202E]b\\nc[U+001B]"
    assert show_invisible("x" * 200, limit=3) == "xxx…"
    assert trim("\ufeff \u00a0 a b\u200b\n") == "a b"

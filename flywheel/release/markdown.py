"""Untrusted text in Markdown stays text."""

__all__ = ["escape"]

_SPECIAL = "\\`*_{}[]()<>|#!~&"


def escape(text: str) -> str:
    """Escape everything that Markdown or HTML would read, and keep the text on one line."""
    line = " ".join(text.split())
    return "".join(f"&#{ord(sign)};" if sign in _SPECIAL else sign for sign in line)

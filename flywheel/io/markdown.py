"""`escape_markdown`: untrusted text in Markdown stays text."""

import re

from flywheel.io.spelling import show_controls

__all__ = ["escape_markdown"]

# Markup, tables, HTML and mathematics; addresses, which GitHub's dialect makes links of; and what
# begins a list, a heading or a quotation at the start of a line.
_SPECIAL = re.compile(
    r"[\\`*_{}\[\]()<>|#!~&$@]|:(?=//)|(?<=www)\.|^[-+=]|(?<=^\d)[.)]|(?<=^\d\d)[.)]", re.IGNORECASE
)


def escape_markdown(value: object, *, limit: int | None = None) -> str:
    """Write a value so that Markdown and HTML show it as it is, on one line.

    A character reference cannot begin markup in any dialect, whereas a backslash can be undone by
    another one before it. Control and direction characters are shown as codes; ``limit`` is the
    number of characters after which a text is cut off.
    """
    text = str(value)
    if limit is not None and len(text) > limit:
        text = f"{text[:limit]}…"
    line = show_controls(" ".join(text.split()))
    return _SPECIAL.sub(lambda sign: f"&#{ord(sign[0])};", line)

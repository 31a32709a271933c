"""`guarded_page`: Evidently's page with its data escaped and a policy that lets only its own scripts run.

Evidently writes names from the traffic into a script of the page as they came: a client called
``</script><script>...`` would run one, also where the page is opened as a file and no server's
policy is in force.
"""

import json
import re
from base64 import b64encode
from hashlib import sha256

from flywheel.errors import MeasurementError

__all__ = ["guarded_page"]

_DATA = re.compile(r"<script>\s*var (\w+) = ")
_MORE = re.compile(r";\s*var additional_graphs_\w+ = ")
_END = re.compile(r";\s*</script>")
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_CHARSET = '<meta charset="UTF-8">'
# Plotly makes functions of texts of its own, hence 'unsafe-eval'.
_POLICY = (
    "default-src 'none'; img-src data: blob:; font-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; script-src 'unsafe-eval' {hashes}"
)


def guarded_page(html: str) -> str:
    """Return the page with its data unable to end a script and with a Content-Security-Policy.

    The policy names the digest of each script of the page; no other script runs, neither one
    between tags nor one in an attribute.

    Raises:
        MeasurementError: the page is not built as Evidently 0.7 builds it.
    """
    html = _with_escaped_data(html)
    if html.count(_CHARSET) != 1:
        raise _unexpected()
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in _SCRIPT.findall(html))
    policy = _POLICY.format(hashes=hashes)
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    return html.replace(_CHARSET, f"{_CHARSET}\n        {meta}")


def _with_escaped_data(html: str) -> str:
    # The end of the data is where its JSON ends, not at the next "</script>".
    first = _DATA.search(html)
    if first is None:
        raise _unexpected()
    at = _end_of_json(html, first.end())
    more = _MORE.match(html, at)
    if more is not None:
        at = _end_of_json(html, more.end())
    if not _END.match(html, at):
        raise _unexpected()
    data = html[first.end() : at].replace("<", r"\u003c").replace(">", r"\u003e")
    return html[: first.end()] + data + html[at:]


def _end_of_json(html: str, start: int) -> int:
    try:
        return json.JSONDecoder().raw_decode(html, start)[1]
    except ValueError as error:
        raise _unexpected() from error


def _digest(script: str) -> str:
    return b64encode(sha256(script.encode()).digest()).decode()


def _unexpected() -> MeasurementError:
    return MeasurementError(
        "Evidently's page is built in another way than this version knows, and could run scripts "
        "out of the traffic.",
        next_step="install the versions of requirements.lock",
    )

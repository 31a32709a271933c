"""`SetAsideLine`: a line of an import that became no event, on its way to the dead letters.

It travels through the log like any event, so that the ledger counts it; ingest makes it a dead
letter with the reason that the reader gave, and the line itself can be exported, repaired and
replayed.
"""

import base64
import binascii
import hashlib
from datetime import datetime

import msgspec

from flywheel.errors import EventError
from flywheel.events.reasons import Reason

__all__ = ["SetAsideLine", "decode_set_aside", "encode_set_aside", "rejection_of"]

_MARK = b'"flywheel_import"'
_SHOWN_OF_TOO_LARGE = 4_000


class SetAsideLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line with the reason why it is not an event, and what is needed to read it again.

    ``line`` is its text, ``line_base64`` its bytes where they are not text; of a line that is too
    large for the log only the beginning is there. ``subject_id`` is the hashed person, where the
    line could be read so far, so that an erasure finds it; the last ones are the import's options.
    """

    reason: str
    error: str
    workload_id: str
    client_id: str
    file: str
    number: int
    line: str | None = None
    line_base64: str | None = None
    subject_id: str | None = None
    format_name: str | None = None
    subject_path: str | None = None
    source_workload: str | None = None
    zone: str = "UTC"
    time: datetime | None = None

    @property
    def content(self) -> bytes:
        """The line as it was in the file."""
        if self.line_base64 is not None:
            return base64.b64decode(self.line_base64)
        return (self.line or "").encode("utf-8", "surrogatepass")


class _Envelope(msgspec.Struct, frozen=True, gc=False):
    flywheel_import: SetAsideLine


_DECODE = msgspec.json.Decoder(_Envelope).decode


def encode_set_aside(line: SetAsideLine, content: bytes, *, largest_bytes: int) -> bytes:
    """Write a set-aside line as a value of the log.

    Args:
        line: its reason and origin, without content.
        content: the line's bytes.
        largest_bytes: what the log's contract takes; of a longer line the beginning stays.
    """
    value = _with(line, content)
    if len(value) <= largest_bytes:
        return value
    digest = hashlib.sha256(content).hexdigest()
    error = f"{line.error}; the line has {len(content):,} bytes (sha256 {digest[:16]})"
    changed = msgspec.structs.replace(line, reason=str(Reason.TOO_LARGE), error=error)
    return _with(changed, content[: min(_SHOWN_OF_TOO_LARGE, largest_bytes // 8)])


def decode_set_aside(value: bytes) -> SetAsideLine | None:
    """Return the set-aside line that a value holds, None where it is none."""
    if not value.startswith(b"{" + _MARK):
        return None
    try:
        line = _DECODE(value).flywheel_import
        _ = line.content
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, ValueError):
        return None
    return line


def rejection_of(line: SetAsideLine) -> EventError:
    """Return the error that the dead letter shows."""
    is_reason = line.reason in set(Reason)
    reason = Reason(line.reason) if is_reason else Reason.WRONG_VALUE
    return EventError(reason, f"{line.file} line {line.number}: {line.error}"[:500])


def _with(line: SetAsideLine, content: bytes) -> bytes:
    try:
        filled = msgspec.structs.replace(line, line=content.decode())
    except UnicodeDecodeError:
        encoded = base64.b64encode(content).decode("ascii")
        filled = msgspec.structs.replace(line, line_base64=encoded)
    return msgspec.json.encode(_Envelope(filled))

"""`CallLog`: one line for each call, with who asked what and what it cost, never the text."""

import errno
import os
import threading
from collections.abc import Iterator
from datetime import date, datetime
from io import FileIO
from pathlib import Path

import msgspec

from flywheel.io.keyed_hash import keyed_hash

__all__ = ["CHAMPION_TIER", "Call", "CallLog", "TierUse", "digest_input", "read_calls"]

# The first tier of a workload that names no tiers.
CHAMPION_TIER = "champion"


class TierUse(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt of a call cost, in tokens and in the unit of the tier's prices."""

    tier: str
    prompt_tokens: int
    completion_tokens: int
    cost: float


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the gateway; ``input_digest`` is a keyed hash, the same for the same text.

    ``uses`` are the attempts that gave an answer, where there were several or the workload has
    tiers; otherwise the tokens of the call are the champion's.
    """

    at: datetime
    key_id: str | None
    client_id: str | None
    workload_id: str | None
    inference_id: str | None
    release: str | None
    status: int
    milliseconds: float
    prompt_tokens: int
    completion_tokens: int
    input_digest: str | None
    uses: tuple[TierUse, ...] = ()


def digest_input(text: str, hash_key: str) -> str:
    """Return the keyed hash (HMAC-SHA256, 32 hexadecimal digits) of an input."""
    return keyed_hash("input", text, hash_key)[:32]


class CallLog:
    """Append calls to a file of JSON lines for each day, ``calls-YYYY-MM-DD.jsonl``.

    Lines are written when they come and are not flushed to the disk one by one: the events in the
    spool are the record, this is for accounting. The file of the day stays open; one that was moved
    or removed is made again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._file: FileIO | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, call: Call) -> None:
        """Append one call to the file of its day (UTC); OSError: the disk did not take all of it."""
        line = msgspec.json.encode(call) + b"\n"
        with self._lock:
            file = self._file_at(self._folder / f"calls-{call.at:%Y-%m-%d}.jsonl")
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, "The line of a call was cut off", file.name)

    def close(self) -> None:
        """Close the file of the day; the next call opens one again."""
        with self._lock:
            self._close()

    def _file_at(self, path: Path) -> FileIO:
        if self._file is None or not _is_at(self._file, path):
            self._close()
            self._file = path.open("ab", buffering=0)
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _is_at(file: FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def read_calls(folder: Path, start: date, end: date) -> Iterator[Call | None]:
    """Yield the calls of the days from ``start`` to ``end``, both included, in UTC.

    A line that a crash cut off is None.
    """
    for file in sorted(folder.glob("calls-????-??-??.jsonl")):
        if not start <= date.fromisoformat(file.stem.removeprefix("calls-")) <= end:
            continue
        with file.open("rb") as lines:
            for line in lines:
                try:
                    yield msgspec.json.decode(line, type=Call)
                except msgspec.DecodeError:
                    yield None

"""`erase_from_files`: the person's texts in whatever other files a home has.

Logs of programs, pages and exchange folders are copies that are not checked by digest: a text in them
is overwritten. Any other file that holds one is named, for a person to look at.
"""

import html
import json
from collections.abc import Collection, Iterator
from pathlib import Path

from flywheel.io.atomic import write_bytes

__all__ = ["FileFindings", "erase_from_files", "needles_of"]

# Shorter texts are in many files by chance.
_SHORTEST = 12
_LARGEST_BYTES = 512 * 2**20
_REWRITTEN_IN = {
    "bakeoffs",
    "dagster",
    "demo",
    "exchange",
    "logs",
    "reports",
    "results",
    "simulated",
}
_REWRITTEN = {".log", ".out", ".err", ".html", ".jsonl", ".txt", ".csv", ".json"}
# What other stores answer for, and weights, which hold no text as such.
_APART = {"lake", "log.db", "queue", "datasets"}
_WEIGHTS = {".safetensors", ".parquet", ".gguf", ".bin", ".pt", ".npy"}
_MARK = b"[erased]"
_SQLITE = b"SQLite format 3\x00"


class FileFindings:
    """Files that were rewritten, and those that hold a text and were left."""

    def __init__(self) -> None:
        self.rewritten: list[str] = []
        self.left: list[str] = []


def needles_of(texts: Collection[str]) -> list[bytes]:
    """Return the forms in which texts stand in files: plain, in JSON, in HTML; longest first."""
    forms: set[str] = set()
    for text in texts:
        if len(text) >= _SHORTEST:
            forms |= {text, html.escape(text), html.escape(text, quote=False)}
            forms |= {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    return sorted((form.encode("utf-8", "surrogatepass") for form in forms), key=len, reverse=True)


def erase_from_files(home: Path, texts: Collection[str], *, change: bool) -> FileFindings:
    """Look for texts in the files of a home, and overwrite them where that breaks no digest."""
    findings, needles = FileFindings(), needles_of(texts)
    if not needles:
        return findings
    for path in _files(home):
        content = path.read_bytes()
        matches = [needle for needle in needles if needle in content]
        if not matches:
            continue
        name = path.relative_to(home).as_posix()
        if content.startswith(_SQLITE) or not _may_rewrite(path.relative_to(home)):
            findings.left.append(name)
            continue
        findings.rewritten.append(name)
        if change:
            for needle in matches:
                content = content.replace(needle, _MARK)
            write_bytes(path, content)
    return findings


def _files(home: Path) -> Iterator[Path]:
    for path in sorted(home.rglob("*")):
        parts = path.relative_to(home).parts
        if parts[0] in _APART or parts[0].startswith("log.db") or path.suffix in _WEIGHTS:
            continue
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= _LARGEST_BYTES:
            yield path


def _may_rewrite(path: Path) -> bool:
    is_log = path.parts[0] == "runs" and path.suffix in {".log", ".out", ".err"}
    return is_log or (path.parts[0] in _REWRITTEN_IN and path.suffix in _REWRITTEN)

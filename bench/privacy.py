"""`python -m bench.privacy FOLDER...`: what the recognizers of personal data find in texts.

Every text of the CSV, TSV and JSON files below the folders; each finding is printed, so that a person
can say which of them is nobody's.
"""

import csv
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from flywheel.privacy.recognizers import find_pii

_REGIONS = (None, "US", "DE")
_SHOWN = 12
_CONSOLE = Console(markup=False, highlight=False, soft_wrap=True)


def main(folders: list[str]) -> None:
    """Print counts, examples and time for each folder and region."""
    for folder in map(Path, folders):
        texts = [text for file in sorted(folder.rglob("*.*")) for text in _texts(file)]
        for region in _REGIONS:
            _measure(folder.name, texts, region)


def _measure(name: str, texts: list[str], region: str | None) -> None:
    examples: dict[str, Counter[str]] = {}
    started = time.perf_counter()
    for text in texts:
        for item in find_pii(text, region=region):
            examples.setdefault(item.kind, Counter())[text[item.start : item.end]] += 1
    microseconds = (time.perf_counter() - started) / max(1, len(texts)) * 1e6
    total = sum(counter.total() for counter in examples.values())
    _CONSOLE.print(
        f"{name}, region {region}: {len(texts):,} texts, {total} items, {microseconds:.0f} us a text"
    )
    for kind, counter in examples.items():
        shown = ", ".join(f"{text} ({count})" for text, count in counter.most_common(_SHOWN))
        _CONSOLE.print(f"  {kind}: {counter.total()}, of which {len(counter)} different: {shown}")


def _texts(file: Path) -> Iterator[str]:
    if file.suffix in {".csv", ".tsv"}:
        delimiter = "\t" if file.suffix == ".tsv" else ","
        with file.open(newline="", encoding="utf-8") as lines:
            for row in csv.reader(lines, delimiter=delimiter):
                yield from row
    elif file.suffix == ".json":
        yield from _strings(json.loads(file.read_bytes().decode("utf-8", "replace")))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


if __name__ == "__main__":
    main(sys.argv[1:])

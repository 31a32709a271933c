"""How far two texts are apart: `edit_similarity`, and what was edited: `word_changes`.

The normalized edit distance is Levenshtein's over characters, divided by the longer length.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import combinations
from typing import Literal, NamedTuple

__all__ = ["Change", "edit_similarity", "most_central", "tidy", "word_changes"]

_PIECES = re.compile(r"\s+|[\w'-]+|.")


class Change(NamedTuple):
    """A piece of two texts: in both, in the first alone (removed) or in the second (added)."""

    kind: Literal["same", "removed", "added"]
    text: str


def tidy(text: str) -> str:
    """Return a text without surrounding blanks, blanks at line ends and foreign line ends."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


def edit_similarity(one: str, other: str) -> float:
    """Return 1 less the normalized edit distance of two tidy texts, in [0, 1]; 1: the same."""
    from rapidfuzz.distance import Levenshtein

    return float(Levenshtein.normalized_similarity(tidy(one), tidy(other)))


def most_central(texts: Sequence[str]) -> int:
    """Return the index of the text that is most similar to all others, the first of several."""
    totals = [0.0] * len(texts)
    for one, other in combinations(range(len(texts)), 2):
        similarity = edit_similarity(texts[one], texts[other])
        totals[one] += similarity
        totals[other] += similarity
    return max(range(len(texts)), key=totals.__getitem__)


def word_changes(before: str, after: str) -> list[Change]:
    """Return what an edit changed, word by word, in the order of the text."""
    old, new = _PIECES.findall(before), _PIECES.findall(after)
    changes: list[Change] = []
    for kind, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            changes.append(Change("same", "".join(old[i1:i2])))
            continue
        if i1 < i2:
            changes.append(Change("removed", "".join(old[i1:i2])))
        if j1 < j2:
            changes.append(Change("added", "".join(new[j1:j2])))
    return changes

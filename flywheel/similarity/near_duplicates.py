"""Near-duplicates by character shingles: MinHash finds candidates, exact Jaccard decides."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flywheel.similarity.normal_form import normalize

__all__ = ["Match", "NearDuplicates", "closest_matches", "shingles"]

_WIDTH = 4
# 32 bands of 4 rows miss a pair of similarity 0.6 in one of 84 cases, one of 0.85 practically never.
_PERMUTATIONS, _BANDS = 128, 32
_BLOCK = 1024
_BITS = 1021


@dataclass(frozen=True)
class Match:
    """The known text that another one repeats, by its key, and how closely."""

    key: str
    similarity: float


def shingles(text: str) -> frozenset[str]:
    """Return the character shingles of a text's normal form."""
    padded = f" {normalize(text)} "
    if len(padded) < _WIDTH:
        return frozenset([padded])
    return frozenset(map("".join, zip(*(padded[at:] for at in range(_WIDTH)), strict=False)))


class NearDuplicates:
    """A growing set of texts that can be asked whether it holds nearly this one already."""

    def __init__(self, threshold: float, texts: Iterable[tuple[str, str]] = ()) -> None:
        from rensa import RMinHashLSH

        self._threshold = threshold
        self._index = RMinHashLSH(threshold, _PERMUTATIONS, _BANDS)
        self._exact: dict[str, str] = {}
        self._known: list[tuple[str, frozenset[str], int]] = []
        for key, text in texts:
            self.add(key, text)

    def add(self, key: str, text: str) -> None:
        """Remember a text under its key; of equal texts the first key stands for all."""
        normal = normalize(text)
        if normal in self._exact:
            return
        self._exact[normal] = key
        parts, bits, digest = _fingerprint(text)
        self._index.insert(len(self._known), digest)
        self._known.append((key, parts, bits))

    def find(self, text: str) -> Match | None:
        """Return the closest known text at or above the threshold, or None."""
        exact = self._exact.get(normalize(text))
        if exact is not None:
            return Match(exact, 1.0)
        parts, bits, digest = _fingerprint(text)
        best: Match | None = None
        spare = len(parts) - bits.bit_count()
        for number in sorted(self._index.query(digest)):
            key, indexed_text, indexed_bits = self._known[number]
            both = len(parts) + len(indexed_text)
            # At most so many are common: those whose bits are, and those that share a bit.
            most = (bits & indexed_bits).bit_count() + spare
            if most / (both - most) < self._threshold:
                continue
            common = len(parts & indexed_text)
            similarity = common / (both - common)
            if similarity >= self._threshold and (best is None or similarity > best.similarity):
                best = Match(key, similarity)
        return best


def closest_matches(
    texts: Sequence[str], references: Sequence[tuple[str, str]], threshold: float
) -> list[Match | None]:
    """Find for each text the closest of ``known`` at or above the threshold, missing none.

    Compares every pair through a sparse product, so that a leak cannot hide behind a hash; memory
    is bounded by working in blocks.
    """
    import numpy as np
    from scipy.sparse import csr_matrix

    if not texts or not references:
        return [None] * len(texts)
    vocabulary: dict[str, int] = {}
    right = _matrix([text for _, text in references], vocabulary, csr_matrix)
    left = _matrix(list(texts), vocabulary, csr_matrix)
    right.resize((right.shape[0], len(vocabulary)))
    left.resize((left.shape[0], len(vocabulary)))
    sizes = np.asarray(right.sum(axis=1)).ravel()
    matches: list[Match | None] = []
    for start in range(0, left.shape[0], _BLOCK):
        block = left[start : start + _BLOCK]
        common = (block @ right.T).toarray()
        union = np.asarray(block.sum(axis=1)).reshape(-1, 1) + sizes - common
        scores = common / union
        for row in scores:
            at = int(row.argmax())
            similarity = float(row[at])
            matches.append(
                Match(references[at][0], similarity) if similarity >= threshold else None
            )
    return matches


# What is known is asked about again with every batch of a long-lived process.
@lru_cache(maxsize=8192)
def _fingerprint(text: str) -> tuple[frozenset[str], int, Any]:
    from rensa import RMinHash

    parts = shingles(text)
    digest = RMinHash(_PERMUTATIONS, 1)
    digest.update(list(parts))
    return parts, _bits(parts), digest


def _bits(parts: frozenset[str]) -> int:
    # A set as a number, to leave most candidates out without comparing texts.
    bits = 0
    for part in parts:
        bits |= 1 << (hash(part) % _BITS)
    return bits


def _matrix(texts: list[str], vocabulary: dict[str, int], matrix: Any) -> Any:
    columns: list[int] = []
    starts = [0]
    for text in texts:
        columns.extend(vocabulary.setdefault(part, len(vocabulary)) for part in shingles(text))
        starts.append(len(columns))
    shape = (len(texts), max(len(vocabulary), 1))
    return matrix(([1.0] * len(columns), columns, starts), shape=shape)

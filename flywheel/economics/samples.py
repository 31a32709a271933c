"""`DistinctCounts` and `Reservoir`: what a stream of any length holds, in bounded memory."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

__all__ = ["DistinctCounts", "Reservoir", "text_hash"]

Item = TypeVar("Item")


def text_hash(text: str) -> int:
    """Return a hash of 64 bits, the same in every process."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


class DistinctCounts:
    """How often each distinct text occurs, over a sample of the distinct texts.

    A text is in the sample by its hash alone, with all its occurrences; the sample is halved when it
    outgrows the limit (adaptive sampling: Flajolet 1990), so that shares of it are those of all.

    ``counts`` are by hash; a hash is among them where its last ``level`` bits are 0.

    Args:
        limit: distinct texts that are remembered.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.level = 0
        self.counts: dict[int, int] = {}

    def add(self, text: str) -> None:
        """Count one text."""
        self._add(text_hash(text), 1)

    def merge(self, other: "DistinctCounts") -> None:
        """Count what another one counted."""
        self.level = max(self.level, other.level)
        self._shrink()
        for key, count in other.counts.items():
            self._add(key, count)

    @property
    def is_complete(self) -> bool:
        """Return whether every text is in the sample."""
        return self.level == 0

    @property
    def distinct(self) -> int:
        """Return the number of distinct texts, an estimate once some were left out."""
        return len(self.counts) << self.level

    @property
    def repetition(self) -> float | None:
        """Return the share of texts that came before; None without any."""
        total = sum(self.counts.values())
        return 1 - len(self.counts) / total if total else None

    def share_of_most_frequent(self, number: int) -> float | None:
        """Return the share of all texts that the most frequent ones make up."""
        total = sum(self.counts.values())
        return sum(sorted(self.counts.values())[-number:]) / total if total else None

    def _add(self, key: int, count: int) -> None:
        if key & ((1 << self.level) - 1):
            return
        self.counts[key] = self.counts.get(key, 0) + count
        if len(self.counts) > self._limit:
            self.level += 1
            self._shrink()

    def _shrink(self) -> None:
        mask = (1 << self.level) - 1
        self.counts = {key: n for key, n in self.counts.items() if not key & mask}


class Reservoir(Generic[Item]):
    """A uniform random sample of a stream (algorithm R: Vitter 1985).

    Args:
        size: most items that are held.
        seed: of the random choice.
    """

    def __init__(self, size: int, seed: int = 0) -> None:
        self._size = size
        self._random = random.Random(seed)  # noqa: S311 - a sample, no secret
        self._items: list[Item] = []
        self.seen = 0

    def add(self, item: Item) -> None:
        """Offer one item."""
        self.seen += 1
        if len(self._items) < self._size:
            self._items.append(item)
            return
        place = self._random.randrange(self.seen)
        if place < self._size:
            self._items[place] = item

    @property
    def items(self) -> Sequence[Item]:
        """Return the sample."""
        return tuple(self._items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

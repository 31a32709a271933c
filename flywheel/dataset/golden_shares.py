"""How the golden set is shared among labels: `share_out` gives rare labels enough for a floor."""

from collections.abc import Mapping

__all__ = ["share_out"]

# With so many cases the loss of a whole label is shown also where a taxonomy is long (the gate's
# exact test with its correction for the number of labels).
_FLOOR_CASES = 10
_MOST_FOR_RARE = 0.5


def share_out(
    counts: Mapping[str, int], room: Mapping[str, int], drawn: Mapping[str, int], size: int
) -> dict[str, int]:
    """Return how many cases each label gives to a golden set of ``size``.

    Up to half of the set first lifts the labels that have fewest to ten cases; the rest is in
    proportion to the examples, so that the set stays close to what is asked.

    Args:
        counts: examples by label.
        room: how many of them may be taken.
        drawn: how many are in the set already.
        size: of the set; more than is taken, at most all the room.
    """
    shares = dict(drawn)
    free = size - sum(shares.values())
    lifted = int(size * _MOST_FOR_RARE)
    for number in range(free):
        open_labels = [label for label in counts if shares[label] < room[label]]
        rare = [label for label in open_labels if shares[label] < _FLOOR_CASES]
        if number < lifted and rare:
            label = min(rare, key=lambda name: (shares[name], name))
        else:
            # The label that is furthest behind its share is next.
            label = min(open_labels, key=lambda name: ((shares[name] + 0.5) / counts[name], name))
        shares[label] += 1
    return shares

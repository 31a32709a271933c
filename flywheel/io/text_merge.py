"""`merge_texts`: a change between two texts brought into a third one, whose layout is its own."""

import re
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher

__all__ = ["merge_texts"]

_TOKEN = re.compile(
    r"""\n[ ]*|[ \t]+|"(?:[^"\\\n]|\\.)*"|'(?:[^'\n]|'')*'|[\[\]{},:#]|[^\s\[\]{},:#"']+|.""",
    re.DOTALL,
)


def merge_texts(base: str, ours: str, theirs: str, *, fine: bool) -> str:
    """Return ``ours`` with what changed from ``base`` to ``theirs``, as diff3 does.

    Args:
        base: the text before the change, in a layout that a program wrote.
        ours: the same content in another layout.
        theirs: the text after the change, in the layout of ``base``.
        fine: where a change meets another layout, merge word by word; else take the lines of
            ``theirs``.
    """
    lines = [text.splitlines(keepends=True) for text in (base, ours, theirs)]
    chunks = _chunks(lines, _line_key if fine else str)
    return "".join(_merged(*map("".join, chunk), fine=fine) for chunk in chunks)


def _merged(base: str, ours: str, theirs: str, *, fine: bool) -> str:
    if base == theirs:
        return ours
    if base == ours or not fine:
        return theirs
    tokens = [_TOKEN.findall(text) for text in (base, ours, theirs)]
    return "".join(_chosen(*map("".join, chunk)) for chunk in _chunks(tokens, _token_key))


def _line_key(line: str) -> str:
    return "".join(line.split()).replace(",", "")


def _token_key(token: str) -> str:
    # Blanks and line ends are the layout's, however many blanks there are.
    return token if token.strip() else "\n" * ("\n" in token)


def _chosen(base: str, ours: str, theirs: str) -> str:
    if base == theirs or base.split() == theirs.split():
        return ours
    # What the layout adds at a place, such as a comma after the last item, stays behind what is new.
    return theirs if base else theirs + ours


def _chunks(parts: list[list[str]], key: Callable[[str], str]) -> Iterator[list[list[str]]]:
    # Runs in which the three differ, and between them those that they share.
    start: tuple[int, ...] = (0, 0, 0)
    for common, length in _shared(parts[0], parts[1], parts[2], key):
        end = tuple(first + length for first in common)
        for limits in (zip(start, common, strict=True), zip(common, end, strict=True)):
            yield [part[a:b] for part, (a, b) in zip(parts, limits, strict=True)]
        start = end


def _shared(
    base: list[str], ours: list[str], theirs: list[str], key: Callable[[str], str]
) -> Iterator[tuple[tuple[int, ...], int]]:
    # Starts and length of every run that is the same in all three; the ends of all come last. Two
    # layouts are compared by key, what was changed as it is.
    left = SequenceMatcher(None, [*map(key, base)], [*map(key, ours)]).get_matching_blocks()
    right = SequenceMatcher(None, base, theirs).get_matching_blocks()
    for one in left:
        for two in right:
            first, end = max(one.a, two.a), min(one.a + one.size, two.a + two.size)
            if first < end:
                yield (first, one.b + first - one.a, two.b + first - two.a), end - first
    yield (len(base), len(ours), len(theirs)), 0

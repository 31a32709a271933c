"""`Passage`: a text that knows which of its spans the workload's owner wrote.

Control and label tokens may come out of the owner's spans alone: the prompt's template and the
answers as the base writes them. Everything else is what clients and annotators sent, and stays
text (`flywheel.workload.tokenization`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Passage", "join_passages", "owned", "quoted", "trimmed"]


@dataclass(frozen=True)
class Passage:
    """A text and the character spans ``[start, end)`` of it that the owner wrote, in order.

    A ``whole`` text begins as the base wants every text to begin: no start token is put before it.
    """

    text: str
    owned: tuple[tuple[int, int], ...] = ()
    whole: bool = False

    def owns(self, start: int, end: int) -> bool:
        """Return whether a span lies wholly inside one of the owner's spans."""
        return any(first <= start and end <= last for first, last in self.owned)


def owned(text: str) -> Passage:
    """Return a text that the owner wrote: it may hold control and label tokens."""
    return Passage(text, ((0, len(text)),) if text else ())


def quoted(text: str) -> Passage:
    """Return a user's text: it is never more than text."""
    return Passage(text)


def trimmed(passage: Passage, *, start: bool, end: bool) -> Passage:
    """Return a passage without the blanks at its start, its end, or both."""
    first = len(passage.text) - len(passage.text.lstrip()) if start else 0
    last = len(passage.text.rstrip()) if end else len(passage.text)
    last = max(first, last)
    spans = ((max(a, first) - first, min(b, last) - first) for a, b in passage.owned)
    return Passage(passage.text[first:last], tuple((a, b) for a, b in spans if a < b))


def join_passages(parts: Iterable[Passage], *, whole: bool = False) -> Passage:
    """Concatenate passages; the owner's spans that touch each other become one."""
    texts: list[str] = []
    spans: list[tuple[int, int]] = []
    length = 0
    for part in parts:
        for start, end in part.owned:
            if spans and spans[-1][1] == length + start:
                spans[-1] = (spans[-1][0], length + end)
            else:
                spans.append((length + start, length + end))
        texts.append(part.text)
        length += len(part.text)
    return Passage("".join(texts), tuple(spans), whole)

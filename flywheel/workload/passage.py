"""`Passage`: a text that knows which of its spans the workload's owner wrote.

Control and label tokens may come out of the owner's spans alone: the prompt's template and the
answers as the base writes them. Everything else is what clients and annotators sent, and stays
text (`flywheel.workload.tokenization`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Passage", "join_passages", "owned", "quoted"]


@dataclass(frozen=True)
class Passage:
    """A text and the character spans ``[start, end)`` of it that the owner wrote, in order."""

    text: str
    owned: tuple[tuple[int, int], ...] = ()

    def owns(self, start: int, end: int) -> bool:
        """Return whether a span lies wholly inside one of the owner's spans."""
        return any(first <= start and end <= last for first, last in self.owned)


def owned(text: str) -> Passage:
    """Return a text that the owner wrote: it may hold control and label tokens."""
    return Passage(text, ((0, len(text)),) if text else ())


def quoted(text: str) -> Passage:
    """Return a text that somebody else wrote: it is never more than text."""
    return Passage(text)


def join_passages(parts: Iterable[Passage]) -> Passage:
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
    return Passage("".join(texts), tuple(spans))

"""`same_conversations`: which conversations are one at an earlier and at a later turn."""

from collections.abc import Iterable, Iterator, Sequence

from flywheel.similarity.normal_form import normalize
from flywheel.workload.conversation import read_thread

__all__ = ["same_conversations"]

Turns = tuple[tuple[str, str], ...]
# Many conversations begin with the same few words, and with the assistant's own.
_TELLING_CHARACTERS = 40


def same_conversations(threads: Sequence[str], references: Iterable[str]) -> list[bool]:
    """Return for each thread whether it continues one of the references, or one of them continues it.

    That is so where all turns of the shorter one, in their normal forms, begin the longer one and
    the user said at least 40 characters in them. A thread that lost its oldest turns is not found.
    """
    known = {_turns(thread) for thread in references}
    known_beginnings = {beginning for turns in known for beginning in _beginnings(turns)}
    return [
        turns in known_beginnings or not known.isdisjoint(_beginnings(turns))
        for turns in map(_turns, threads)
    ]


def _turns(thread: str) -> Turns:
    return tuple((turn.speaker, normalize(turn.text)) for turn in read_thread(thread))


def _beginnings(turns: Turns) -> Iterator[Turns]:
    said = 0
    for number, (speaker, text) in enumerate(turns, 1):
        said += len(text) if speaker == "user" else 0
        if said >= _TELLING_CHARACTERS:
            yield turns[:number]

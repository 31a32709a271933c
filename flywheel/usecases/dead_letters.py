"""Dead letters: `list_letters`, `read_letter`, `replay_letters` and `declare_lost` of a deployment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.errors import ConfigurationError, EventError
from flywheel.io.records import JsonObject

if TYPE_CHECKING:
    from flywheel.ingest.dead_letter_list import DeadLetter, DeadLetterFilter, DeadLetterGroup
    from flywheel.ingest.deadletters import DeadLetterId, ReplayReport
    from flywheel.wiring import Platform

__all__ = [
    "LetterPage",
    "Replay",
    "choose_letters",
    "declare_lost",
    "export_letters",
    "group_letters",
    "list_letters",
    "read_letter",
    "replay_letters",
]

_AT_ONCE = 2_000


@dataclass(frozen=True)
class LetterPage:
    """A page of the letters that are still dead, newest first, and how many there are in all."""

    letters: "tuple[DeadLetter, ...]"
    total: int


@dataclass(frozen=True)
class Replay:
    """What a replay did; ``not_dead`` letters of the file are no dead letters (any more)."""

    report: "ReplayReport"
    not_dead: int = 0


def choose_letters(
    *,
    reason: str | None = None,
    topic: str | None = None,
    since: str | None = None,
    until: str | None = None,
    contains: str | None = None,
) -> "DeadLetterFilter":
    """Return which letters are meant; times are ISO 8601.

    Raises:
        ConfigurationError: there is no such reason or topic, or a time cannot be read.
    """
    from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC
    from flywheel.ingest.dead_letter_list import DeadLetterFilter

    topics = (INFERENCES_TOPIC, FEEDBACK_TOPIC)
    if topic is not None and topic not in topics:
        raise ConfigurationError(
            f"There is no topic {topic!r}.", next_step=f"choose {' or '.join(topics)}"
        )
    return DeadLetterFilter(
        _checked_reason(reason),
        topic,
        _moment("--since", since),
        _moment("--until", until),
        contains,
    )


def group_letters(platform: "Platform", chosen: "DeadLetterFilter") -> "list[DeadLetterGroup]":
    """Return what is still dead by topic and reason, the largest group first."""
    from flywheel.ingest.dead_letter_list import group_dead_letters

    return group_dead_letters(platform.lake, chosen)


def list_letters(
    platform: "Platform", chosen: "DeadLetterFilter", *, limit: int, page: int
) -> LetterPage:
    """Return a page of the letters that are still dead; pages count from 1."""
    from flywheel.ingest.dead_letter_list import count_dead_letters, list_dead_letters

    letters = list_dead_letters(platform.lake, chosen, limit=limit, page=page)
    return LetterPage(tuple(letters), count_dead_letters(platform.lake, chosen))


def read_letter(platform: "Platform", letter: str) -> tuple[JsonObject, bytes]:
    """Return the columns of one letter and its content: of an import, the line of the file.

    Raises:
        DataError: ``letter`` is not TOPIC_ID:PARTITION:OFFSET.
        NotFoundError: there is no such letter.
    """
    from flywheel.ingest.dead_letter_list import content_of
    from flywheel.ingest.deadletters import DeadLetterId, show_dead_letter

    row = show_dead_letter(platform.lake, DeadLetterId.parse(letter))
    raw = row.pop("raw") or b""
    return row, content_of(raw)


def export_letters(platform: "Platform", chosen: "DeadLetterFilter", file: Path) -> int:
    """Write letters as JSON lines to be repaired, and return how many.

    Raises:
        ConfigurationError: the file is there already.
    """
    from flywheel.ingest.dead_letter_list import export_dead_letters

    return export_dead_letters(platform.lake, chosen, file)


def replay_letters(
    platform: "Platform",
    *,
    letter: str | None = None,
    reason: str | None = None,
    file: Path | None = None,
) -> Replay:
    """Send letters through the present contract; what is good now lands, once. Safe to repeat.

    Args:
        platform: holds the letters.
        letter: one id; default: all.
        reason: those with this reason code alone.
        file: repaired letters, as `export_letters` wrote them.

    Raises:
        ConfigurationError: there is no such reason, or both a letter and a file are given.
        DataError: an id or a line of the file cannot be read.
    """
    from flywheel.ingest.dead_letter_repair import read_repaired
    from flywheel.ingest.deadletters import DeadLetterId, ReplayReport

    if letter is not None and file is not None:
        raise ConfigurationError(
            "A letter's id and --file were both given.", next_step="give one of them"
        )
    report, reason = ReplayReport(), _checked_reason(reason)
    if file is None:
        _replay(
            platform, reason, None if letter is None else [DeadLetterId.parse(letter)], None, report
        )
        return Replay(report)
    repaired = read_repaired(file)
    letters = [DeadLetterId.parse(text) for text in repaired]
    for start in range(0, len(letters), _AT_ONCE):
        _replay(platform, reason, letters[start : start + _AT_ONCE], repaired, report)
    return Replay(report, len(letters) - report.landed.total() - report.still_dead.total())


def declare_lost(
    platform: "Platform", topic: str, partition: int, *, declared_by: str, reason: str
) -> int:
    """Record that what the log no longer holds is lost; return how many offsets that are."""
    from flywheel.ingest.gaps import declare_gap

    return declare_gap(
        platform.log,
        platform.lake,
        topic=topic,
        partition=partition,
        declared_by=declared_by,
        reason=reason,
        now=platform.clock.now(),
    )


def _replay(
    platform: "Platform",
    reason: str | None,
    letters: "Sequence[DeadLetterId] | None",
    repaired: dict[str, bytes] | None,
    report: "ReplayReport",
) -> None:
    from flywheel.events import EventContract
    from flywheel.ingest.dead_letter_repair import Repairs
    from flywheel.ingest.deadletters import replay

    now = platform.clock.now()
    folder = platform.workload_folder
    key = platform.settings.hash_key.get_secret_value()
    done = replay(
        platform.lake,
        EventContract(folder.workloads.values(), not_loaded=folder.problems.keys()),
        now=now,
        reason=reason,
        letters=letters,
        repair=Repairs(folder.workloads, hash_key=key, now=now, repaired=repaired),
    )
    report.landed += done.landed
    report.still_dead += done.still_dead


def _checked_reason(reason: str | None) -> str | None:
    from flywheel.events import Reason

    if reason is not None and reason not in set(Reason):
        raise ConfigurationError(
            f"There is no reason {reason!r}.", next_step=f"choose {', '.join(sorted(Reason))}"
        )
    return reason


def _moment(option: str, value: str | None) -> datetime | None:
    from flywheel.events.foreign import read_moment

    if value is None:
        return None
    try:
        return read_moment(value)[0]
    except EventError as error:
        raise ConfigurationError(
            f"{option}: {error.message}", next_step="write for example 2026-03-01T12:00"
        ) from error

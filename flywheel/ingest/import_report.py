"""`ImportReport`: what became of every line of an import, with the first lines of each kind."""

from dataclasses import dataclass, field

from flywheel.io.records import JsonObject

__all__ = ["ImportReport", "LineGroup"]

_SHOWN = 5


@dataclass
class LineGroup:
    """How many lines are of one kind, the first of them, and an example in words."""

    count: int = 0
    lines: list[int] = field(default_factory=list)
    example: str | None = None

    def add(self, number: int, example: str | None = None) -> None:
        """Count a line."""
        self.count += 1
        if len(self.lines) < _SHOWN:
            self.lines.append(number)
        self.example = self.example or example


@dataclass
class ImportReport:
    """Every line is in one of ``answers``, ``dead`` and ``imported_before``.

    ``answers`` are the new events by what their answer says (parsed, refused, unparseable, failed);
    ``dead`` are the lines that become dead letters, by reason; ``imported_before`` are calls that
    the lake holds or the file brought already; ``repeated`` are those of them that repeat an earlier
    line. ``masked`` counts personal data by kind in the new events. The other groups say what was
    assumed.
    """

    lines: int = 0
    answers: dict[str, LineGroup] = field(default_factory=dict)
    dead: dict[str, LineGroup] = field(default_factory=dict)
    imported_before: LineGroup = field(default_factory=LineGroup)
    repeated: LineGroup = field(default_factory=LineGroup)
    without_time: LineGroup = field(default_factory=LineGroup)
    without_zone: LineGroup = field(default_factory=LineGroup)
    numbers_dropped: LineGroup = field(default_factory=LineGroup)
    formats: dict[str, int] = field(default_factory=dict)
    masked: dict[str, int] = field(default_factory=dict)
    broken_off: str | None = None

    @property
    def events(self) -> int:
        """New events that will land."""
        return sum(group.count for group in self.answers.values())

    @property
    def unreadable(self) -> int:
        """Lines that become dead letters."""
        return sum(group.count for group in self.dead.values())

    @property
    def adds_up(self) -> bool:
        """Whether every line is accounted for."""
        return self.lines == self.events + self.unreadable + self.imported_before.count

    @property
    def nothing_good(self) -> bool:
        """Whether no line is or was a call."""
        return not self.events and not self.imported_before.count

    def figures(self) -> JsonObject:
        """Return the report as plain values, for JSON."""
        groups = (
            *("imported_before", "repeated"),
            *("without_time", "without_zone", "numbers_dropped"),
        )
        return {
            "lines": self.lines,
            "events": self.events,
            "dead_letters": self.unreadable,
            "answers": {name: vars(group) for name, group in self.answers.items()},
            "dead": {name: vars(group) for name, group in self.dead.items()},
            "formats": self.formats,
            "masked": self.masked,
            "broken_off": self.broken_off,
        } | {name: vars(getattr(self, name)) for name in groups}

"""What one round of ingest did."""

from collections import Counter
from dataclasses import dataclass, field

from flywheel.io.records import JsonObject

__all__ = ["IngestReport"]


@dataclass
class IngestReport:
    """Counts of one or more micro-batches; ``lag`` is what the log still holds unread."""

    read: int = 0
    landed: Counter[str] = field(default_factory=Counter)
    feedback: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    commits: int = 0
    lost_races: int = 0
    decode_seconds: float = 0.0
    commit_seconds: float = 0.0
    lag: int = 0

    def add(self, other: "IngestReport") -> None:
        """Add the counts of another report; its lag replaces this one's."""
        self.read += other.read
        self.landed += other.landed
        self.feedback += other.feedback
        self.dead_letters += other.dead_letters
        self.commits += other.commits
        self.lost_races += other.lost_races
        self.decode_seconds += other.decode_seconds
        self.commit_seconds += other.commit_seconds
        self.lag = other.lag

    def figures(self) -> JsonObject:
        """Return the report as plain values, for JSON and for metadata."""
        return {
            name: dict(value) if isinstance(value, Counter) else value
            for name, value in vars(self).items()
        }

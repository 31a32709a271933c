"""`prove_ledger`: the account of every event ever produced, for `verify`, Dagster's check and the demo."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.errors import IntegrityError
from flywheel.usecases.retired_topics import log_topics, topics_beside_the_log
from flywheel.usecases.verify_files import is_state_gone

if TYPE_CHECKING:
    from flywheel.ingest.ledger import Ledger
    from flywheel.ingest.unknown_topics import UnknownTopic
    from flywheel.wiring import Platform

__all__ = ["LedgerProof", "prove_ledger"]


@dataclass(frozen=True)
class LedgerProof:
    """The log's topics against the lake, and the topics that only the lake knows.

    ``ledger`` has no partition where nothing was produced yet. ``former_topics`` are those of logs
    that are gone, the retired ones included.
    """

    ledger: "Ledger"
    former_topics: "tuple[UnknownTopic, ...]"

    @property
    def balances(self) -> bool:
        """Return whether every record is accounted for; true where there is none."""
        return not self.problems

    @property
    def problems(self) -> tuple[str, ...]:
        """What is not accounted for, a sentence each."""
        problems = [t.sentence() for t in self.former_topics if not t.is_accounted_for]
        if not self.ledger.balances:
            problems.insert(0, "see the table")
        return tuple(problems)

    def sentence(self) -> str:
        """Return whether it balances, and what became of former topics."""
        if self.problems:
            return f"DOES NOT BALANCE: {'; '.join(self.problems)}"
        settled = [topic.sentence() for topic in self.former_topics]
        balances = "balances" if self.ledger.partitions else "nothing was produced yet"
        return "; ".join([balances, *settled])


def prove_ledger(platform: "Platform", *, full: bool = False) -> LedgerProof:
    """Account for every record that was ever produced; ingest and producers may run meanwhile.

    Args:
        platform: its log and its lake.
        full: count every event of the lake; else those that no earlier proof rests on.

    Raises:
        IntegrityError: the state, which knows the topics that people retired, is gone.
    """
    from flywheel.ingest.ledger import Ledger, prove

    if is_state_gone(platform):  # opening it would make an empty one
        raise IntegrityError(
            "The state is gone, and with it the record of retired topics.",
            next_step="restore it from a backup (`flywheel restore`)",
        )
    topics = log_topics(platform)
    ledger = Ledger((), 0, 0, 0)
    if topics:
        ledger = prove(platform.log, platform.lake, topics=list(topics), full=full)
    return LedgerProof(ledger, tuple(topics_beside_the_log(platform)))

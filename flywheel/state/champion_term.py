"""`champion_term`: which release answers a workload, since when, and whose promotion that was."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flywheel.state.facade import State

__all__ = ["ChampionTerm", "champion_term"]


@dataclass(frozen=True)
class ChampionTerm:
    """The present champion's time in production.

    ``promoted_at`` is its promotion, which fixes what traffic is compared with: for the base model,
    which was never promoted, the newest promotion of the workload. ``answering_since`` is when it
    last took over: its promotion, or the rollback that put it back. Both are None before the first
    promotion.
    """

    release: str
    promoted_at: datetime | None
    answering_since: datetime | None


def champion_term(state: "State", workload_id: str) -> ChampionTerm:
    """Return since when the present champion of a workload answers."""
    champion = state.routes.champion(workload_id)
    promotions = {
        release.release: release.promoted_at
        for release in state.releases.of(workload_id)
        if release.promoted_at is not None
    }
    newest = max(promotions.values(), default=None)
    promoted = promotions.get(champion, newest)
    since = newest
    if promotions.get(champion) != newest:
        # A rollback dates no promotion; the route says when it was done.
        changed = [r.changed_at for r in state.routes.of(workload_id) if r.route == "champion"]
        since = max([moment for moment in (newest, *changed) if moment is not None], default=None)
    return ChampionTerm(champion, promoted, since)

"""`cycle_standing`: what became of a cycle, its release's stages, promotion and rollback included.

A cycle's row ends with the promotion. What came afterwards stands with the release and in the
audit, and is read from there, so that an older state says the right thing as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flywheel.release.path import stage_name
from flywheel.state import AuditRow, Cycle, Release, State

__all__ = ["Standing", "cycle_standing", "cycle_standings", "release_of"]


# Statuses of a cycle of which the audit says more than its row.
_RELEASED = frozenset({"promoted", "releasing"})


@dataclass(frozen=True)
class Standing:
    """Where a cycle stands now: one or two words, and a sentence for people."""

    status: str
    reason: str


def cycle_standings(state: State, workload_id: str) -> dict[str, Standing]:
    """Return where every cycle of a workload stands, by name, oldest first."""
    releases = state.releases.of(workload_id)
    return {
        cycle.name: cycle_standing(
            cycle,
            releases,
            state.audit.of(f"{workload_id}/{cycle.name}") if cycle.status in _RELEASED else (),
        )
        for cycle in state.cycles.of(workload_id)
    }


def cycle_standing(
    cycle: Cycle, releases: Sequence[Release], audit: Sequence[AuditRow] = ()
) -> Standing:
    """Say where one cycle stands.

    Args:
        cycle: the cycle.
        releases: all of the workload's.
        audit: what the audit holds about the cycle.
    """
    release = release_of(cycle, releases)
    if cycle.status == "releasing" and release is not None:
        return _on_its_way(release, audit)
    if cycle.status != "promoted" or release is None:
        return Standing(cycle.status.replace("_", " "), cycle.status_reason or cycle.reason)
    named = f"{release.release}, version {release.version},"
    if release.status == "rolled_back":
        rollbacks = [row for row in audit if row.event == "rollback.done"]
        by = ""
        if rollbacks:
            last = rollbacks[-1]
            by = f" on {last.at:%Y-%m-%d} by {last.actor}: {last.details['reason']}"
        return Standing("rolled back", f"{named} was rolled back{by}")
    if release.status == "retired":
        later = [r for r in releases if r.replaced == release.release and r.promoted_at is not None]
        successor = max(later, key=lambda r: str(r.promoted_at), default=None)
        by = "" if successor is None else f" until {successor.release} replaced it"
        return Standing("promoted", f"{named} was champion{by}")
    return Standing("promoted", cycle.status_reason)


def _on_its_way(release: Release, audit: Sequence[AuditRow]) -> Standing:
    named = f"{release.release}, version {release.version},"
    entries = [row for row in audit if row.event == "release.stage_began"]
    if not entries:
        return Standing(f"in {release.status}", f"{named} is in {release.status}")
    last = entries[-1]
    stage = stage_name(last.details["kind"], last.details["share"])
    since = f"since {last.at:%Y-%m-%d %H:%M} UTC, against {last.details['champion']}"
    return Standing(f"in {release.status}", f"{named} is in {stage} {since}")


def release_of(cycle: Cycle, releases: Sequence[Release]) -> Release | None:
    """Return the newest release of a cycle's present attempt, None before its training ended."""
    matches = [r for r in releases if (r.cycle, r.attempt) == (cycle.name, cycle.attempt)]
    promoted = [r for r in matches if r.promoted_at is not None]
    return next(reversed(promoted or matches), None)

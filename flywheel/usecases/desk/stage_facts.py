"""`read_stages`: shadow and canary of a release, with the verdicts on them over time."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flywheel.state import State
    from flywheel.state.stages import Stage, StageLook

__all__ = ["LookLine", "StageLine", "read_stages"]

_NEWEST = 200  # looks of a stage on a page; a canary may be looked at every minute


@dataclass(frozen=True)
class LookLine:
    """One verdict; ``figures`` is what it rests on."""

    at: datetime
    outcome: str
    reason: str
    figures: dict[str, Any]


@dataclass(frozen=True)
class StageLine:
    """One stage; ``share`` is of requests (shadow) or of subjects (canary).

    ``looks`` are the newest, oldest first; ``looked_at`` counts them all.
    """

    kind: str
    number: int
    share: float
    champion: str
    began_at: datetime
    ended_at: datetime | None
    outcome: str | None
    reason: str
    looked_at: int
    looks: tuple[LookLine, ...]


def read_stages(state: "State", workload_id: str, release: str) -> tuple[StageLine, ...]:
    """Return the stages of a release, first to last."""
    return tuple(
        _line(stage, state.stages.looks(stage))
        for stage in state.stages.of(workload_id)
        if stage.release == release
    )


def _line(stage: "Stage", looks: "list[StageLook]") -> StageLine:
    return StageLine(
        kind=stage.kind,
        number=stage.number,
        share=stage.share,
        champion=stage.champion,
        began_at=stage.began_at,
        ended_at=stage.ended_at,
        outcome=stage.outcome,
        reason=stage.reason,
        looked_at=len(looks),
        looks=tuple(
            LookLine(one.at, one.outcome, one.reason, dict(one.figures)) for one in looks[-_NEWEST:]
        ),
    )

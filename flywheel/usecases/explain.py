"""`list_cycles` and `explain_cycle`: what the state knows of a workload's cycles, in order of time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.few_shot_finding import FEW_SHOT
from flywheel.artifacts.gate_file import GATE_REPORT
from flywheel.artifacts.label_forecast import LABEL_FORECAST

if TYPE_CHECKING:
    from flywheel.release.standing import Standing
    from flywheel.state import Attempt, Cycle, Decision, State
    from flywheel.wiring import Platform

__all__ = ["CycleList", "CycleRow", "CycleStory", "StoryLine", "explain_cycle", "list_cycles"]

# Facts that commands of their own show.
_ELSEWHERE = (FEW_SHOT, GATE_REPORT, LABEL_FORECAST)
_LONGEST = 80  # of a value in a story: one line on a screen


@dataclass(frozen=True)
class CycleRow:
    """One cycle in a list; ``opened`` is ISO 8601, ``version`` None before a promotion."""

    cycle: str
    opened: str
    trigger: str
    status: str
    attempt: int
    version: str | None
    reason: str


@dataclass(frozen=True)
class CycleList:
    """The cycles of a workload, oldest first, and the release that answers now."""

    workload: str
    champion: str
    cycles: tuple[CycleRow, ...]


@dataclass(frozen=True)
class StoryLine:
    """One thing that happened to a cycle, in words."""

    at: datetime
    what: str


@dataclass(frozen=True)
class CycleStory:
    """Where a cycle stands, and everything that led there, in order of time."""

    cycle: "Cycle"
    standing: "Standing"
    lines: tuple[StoryLine, ...]


def list_cycles(platform: "Platform", workload_id: str) -> CycleList:
    """List the cycles of a workload.

    Raises:
        NotFoundError: there is no such workload.
    """
    from flywheel.release.standing import cycle_standings

    state = platform.state
    cycles = state.cycles.of(workload_id)
    if not cycles and workload_id not in platform.workload_folder.problems:
        platform.workload(workload_id)  # an unknown one is refused, with the choices
    versions = {(one.cycle, one.attempt): one.version for one in state.releases.of(workload_id)}
    standings = cycle_standings(state, workload_id)
    rows = tuple(
        CycleRow(
            cycle=cycle.name,
            opened=cycle.opened_at.isoformat(),
            trigger=cycle.trigger,
            status=standings[cycle.name].status,
            attempt=cycle.attempt,
            version=versions.get((cycle.name, cycle.attempt)),
            reason=standings[cycle.name].reason,
        )
        for cycle in cycles
    )
    return CycleList(workload_id, state.routes.champion(workload_id), rows)


def explain_cycle(platform: "Platform", cycle: CycleRef) -> CycleStory:
    """Return everything that the state knows of one cycle.

    Raises:
        NotFoundError: there is no such cycle.
    """
    from flywheel.release.standing import cycle_standings

    cycle_now = platform.state.cycles.get(cycle)
    standing = cycle_standings(platform.state, cycle.workload_id)[cycle.name]
    return CycleStory(cycle_now, standing, _story(platform.state, cycle_now))


def _story(state: "State", cycle: "Cycle") -> tuple[StoryLine, ...]:
    # What decisions, attempts, approvals and audit say of a cycle.
    opening = (
        f"opened by {cycle.opened_by} on the trigger {cycle.trigger}: {cycle.reason} "
        f"(data up to {cycle.watermark:%Y-%m-%d %H:%M}{_numbers(cycle.numbers)})"
    )
    lines = [StoryLine(cycle.opened_at, opening)]
    decisions = state.decisions.of(cycle.workload_id)
    lines += [_decision(item) for item in decisions if item.cycle == cycle.name]
    for attempt in state.attempts.of(cycle.ref):
        lines += _attempt(attempt)
    for approval in state.approvals.of_cycle(cycle.ref):
        if approval.voided_at is not None:
            text = f"the verdict of {approval.actor} was voided: {approval.void_reason}"
            lines.append(StoryLine(approval.voided_at, text))
    for row in state.audit.of(str(cycle.ref)):
        lines.append(StoryLine(row.at, f"{row.event} by {row.actor}{_numbers(row.details)}"))
    return tuple(sorted(lines, key=lambda line: line.at))


def _decision(decision: "Decision") -> StoryLine:
    verdict = "open a cycle" if decision.opens else "open nothing"
    text = f"trigger evaluated: {verdict}, {decision.reason}{_numbers(decision.numbers)}"
    return StoryLine(decision.decided_at, text)


def _attempt(attempt: "Attempt") -> list[StoryLine]:
    started = f"attempt {attempt.number} started: {attempt.reason}"
    lines = [StoryLine(attempt.started_at, started)]
    if attempt.ended_at is not None:
        facts = {key: value for key, value in attempt.facts.items() if key not in _ELSEWHERE}
        text = f"attempt {attempt.number} ended {attempt.outcome}{_numbers(facts)}"
        lines.append(StoryLine(attempt.ended_at, text))
    return lines


def _numbers(values: Mapping[str, object]) -> str:
    if not values:
        return ""
    return "; " + ", ".join(f"{key}={_short(value)}" for key, value in values.items())


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"

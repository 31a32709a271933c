"""`gateway_usage`: calls, tokens and cost of the gateway by client, workload and tier, from its call log."""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from flywheel.gateway.calls import CHAMPION_TIER, Call, TierUse, read_calls

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["TierUsage", "Usage", "UsageReport", "gateway_usage"]

_SERVER_ERROR = 500


@dataclass
class Usage:
    """What one client asked of one workload; None where a refused call named neither."""

    client_id: str | None
    workload_id: str | None
    calls: int = 0
    refused: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def add(self, call: Call) -> None:
        """Count one call: refused with a 4xx status, failed with a 5xx status."""
        self.calls += 1
        self.failed += call.status >= _SERVER_ERROR
        self.refused += 400 <= call.status < _SERVER_ERROR  # noqa: PLR2004 - a status
        self.prompt_tokens += call.prompt_tokens
        self.completion_tokens += call.completion_tokens


@dataclass
class TierUsage:
    """What a tier of a workload answered, and what that cost in the unit of the tier's prices."""

    workload_id: str
    tier: str
    answers: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    def add(self, use: TierUse) -> None:
        """Count one answer, whether it went out or another one did."""
        self.answers += 1
        self.prompt_tokens += use.prompt_tokens
        self.completion_tokens += use.completion_tokens
        self.cost += use.cost


@dataclass(frozen=True)
class UsageReport:
    """Usage by client and workload and by tier, and how many lines could not be read."""

    usage: tuple[Usage, ...]
    unreadable: int
    tiers: tuple[TierUsage, ...] = ()

    @property
    def has_tiers(self) -> bool:
        """Whether anything but champions without a price answered."""
        return any(row.tier != CHAMPION_TIER or row.cost for row in self.tiers)


def gateway_usage(platform: "Platform", *, start: date, end: date) -> UsageReport:
    """Sum the calls of the days from ``start`` to ``end``, both included, in UTC."""
    rows: dict[tuple[str | None, str | None], Usage] = {}
    tiers: dict[tuple[str, str], TierUsage] = {}
    unreadable = 0
    for call in read_calls(platform.home / "gateway" / "calls", start, end):
        if call is None:
            unreadable += 1
            continue
        key = (call.client_id, call.workload_id)
        rows.setdefault(key, Usage(*key)).add(call)
        for use in _uses(call):
            place = (call.workload_id or "", use.tier)
            tiers.setdefault(place, TierUsage(*place)).add(use)
    order = sorted(rows, key=lambda key: tuple(part or "" for part in key))
    by_tier = tuple(tiers[place] for place in sorted(tiers))
    return UsageReport(tuple(rows[key] for key in order), unreadable, by_tier)


def _uses(call: Call) -> tuple[TierUse, ...]:
    if call.uses or call.release is None:
        return call.uses
    # One attempt of a workload without tiers.
    tokens = {"prompt_tokens": call.prompt_tokens, "completion_tokens": call.completion_tokens}
    return (TierUse(tier=CHAMPION_TIER, **tokens, cost=0.0),)

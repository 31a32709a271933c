"""`silence_rule`: when a shadow or canary counts as silent, by the guards of a workload."""

from flywheel.quality.sequential.verdict import SilenceRule
from flywheel.workload.release_rules import GuardRules

__all__ = ["silence_rule"]


def silence_rule(guards: GuardRules) -> SilenceRule:
    """Return the rule that both kinds of stage are judged by."""
    return SilenceRule(patience_minutes=guards.patience_minutes, longest_hours=guards.idle_hours)

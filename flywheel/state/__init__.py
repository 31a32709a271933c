"""The SQL state: the truth about cycles, decisions, approvals, releases, routes and leases.

Everything a person may ask for later is in the audit table as well. What the rows mean for
training or promotion is left to the stages.
"""

from flywheel.state.approvals import Approval
from flywheel.state.attempts import Attempt
from flywheel.state.audit import AuditRow
from flywheel.state.cycles import OPEN_STATUSES, SYSTEM, Cycle, CycleStatus
from flywheel.state.decisions import Decision
from flywheel.state.facade import State
from flywheel.state.inbox import PendingHints
from flywheel.state.leases import Lease, process_holder
from flywheel.state.releases import Release, ReleaseStatus
from flywheel.state.routes import Route

__all__ = [
    "OPEN_STATUSES",
    "SYSTEM",
    "Approval",
    "Attempt",
    "AuditRow",
    "Cycle",
    "CycleStatus",
    "Decision",
    "Lease",
    "PendingHints",
    "Release",
    "ReleaseStatus",
    "Route",
    "State",
    "process_holder",
]

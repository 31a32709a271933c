"""The SQL state: the truth about cycles, decisions, approvals, releases, routes and leases.

Everything a person may ask for later is in the audit table as well. What the rows mean for
training or promotion is left to the stages.
"""

from flywheel.state.approvals import Approval
from flywheel.state.attempts import Attempt
from flywheel.state.audit import AuditRow
from flywheel.state.cycle_status import OPEN_STATUSES, CycleStatus
from flywheel.state.cycles import Cycle
from flywheel.state.decisions import Decision
from flywheel.state.facade import State
from flywheel.state.inbox import PendingHints
from flywheel.state.leases import Lease, process_holder
from flywheel.state.releases import Release, ReleaseStatus
from flywheel.state.routes import Route
from flywheel.state.stages import Stage, StageKind, StageLook

__all__ = [
    "OPEN_STATUSES",
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
    "Stage",
    "StageKind",
    "StageLook",
    "State",
    "process_holder",
]

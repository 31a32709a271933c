"""`release_differences` and `reconcile_release`: what follows the route table, compared and repaired.

The route table is the truth about who answers. Statuses, MLflow's aliases and the adapters of a
model server of its own process follow it; stages and audit are the record of how it came to be, and
what differs there is named, not rewritten.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.artifacts.actors import SYSTEM
from flywheel.errors import FlywheelError
from flywheel.usecases.verify_decisions import decision_differences

if TYPE_CHECKING:
    from flywheel.state import ReleaseStatus
    from flywheel.wiring import Platform

__all__ = ["Reconciliation", "reconcile_release", "release_differences"]


@dataclass(frozen=True)
class Reconciliation:
    """What was repaired for a workload, and what was not, each with why."""

    workload_id: str
    champion: str
    repaired: tuple[str, ...]
    not_repaired: tuple[str, ...]


def release_differences(platform: "Platform", workload_id: str) -> list[str]:
    """Return one sentence for each difference between the route table and what follows it.

    Nothing is changed. A service that is away is a sentence too: it could not be compared.
    """
    return [
        *_status_sentences(platform, workload_id),
        *_stage_differences(platform, workload_id),
        *_alias_differences(platform, workload_id),
        *_server_differences(platform, workload_id),
    ]


def reconcile_release(platform: "Platform", workload_id: str) -> Reconciliation:
    """Bring statuses, aliases and model server to what the route table says; safe to repeat.

    What contradicts the audit is named with the rest that cannot be repaired.

    Raises:
        ConcurrencyError: a release of the workload is being moved right now.
    """
    from flywheel.release.promotion import promotion_lease

    repaired: list[str] = []
    problems: list[str] = []
    if release_differences(platform, workload_id):
        with platform.state.leases.hold(promotion_lease(workload_id)):
            repaired += _repair_statuses(platform, workload_id)
            _repair_aliases(platform, workload_id, repaired, problems)
            _repair_server(platform, workload_id, repaired, problems)
        problems += _stage_differences(platform, workload_id)
    # Nothing rewrites the audit, and what contradicts it is not made true by a repair.
    against = decision_differences(platform, workload_id)
    problems += [f"{sentence}; find out who wrote it (`flywheel verify`)" for sentence in against]
    champion = platform.state.routes.champion(workload_id)
    return Reconciliation(workload_id, champion, tuple(repaired), tuple(problems))


def _status_differences(
    platform: "Platform", workload_id: str
) -> "dict[str, tuple[ReleaseStatus, ReleaseStatus]]":
    # A status that a route contradicts: what it is, and what it should be.
    named = {route.route: route.release for route in platform.state.routes.of(workload_id)}
    statuses: tuple[ReleaseStatus, ...] = ("shadow", "canary", "champion")
    due = {named[status]: status for status in statuses if status in named}
    differences: dict[str, tuple[ReleaseStatus, ReleaseStatus]] = {}
    for release in platform.state.releases.of(workload_id):
        expected = due.get(release.release)
        if expected is None and release.status == "champion":
            expected = "retired"
        if expected is not None and expected != release.status:
            differences[release.release] = (release.status, expected)
    return differences


def _status_sentences(platform: "Platform", workload_id: str) -> Iterator[str]:
    for name, (has, due) in _status_differences(platform, workload_id).items():
        yield f"{name} has the status {has}, by the route table it is {due}"


def _repair_statuses(platform: "Platform", workload_id: str) -> list[str]:
    state, repaired = platform.state, []
    for name, (has, due) in _status_differences(platform, workload_id).items():
        with state.transaction():
            state.releases.change(name, status=due)
            where = str(state.releases.get(name).cycle_ref)
            facts = {"release": name, "from": has, "to": due}
            state.audit.append("release.status_repaired", where, SYSTEM, facts)
        repaired.append(f"status of {name}: {has} is now {due}")
    return repaired


def _stage_differences(platform: "Platform", workload_id: str) -> list[str]:
    state = platform.state
    stage = state.stages.current(workload_id)
    staged = {} if stage is None else {stage.kind: (stage.release, stage.share)}
    routed = {
        route.route: (route.release, route.weight)
        for route in state.routes.of(workload_id)
        if route.route != "champion"
    }
    differences = []
    for kind, (name, weight) in routed.items():
        if staged.get(kind) != (name, weight):  # type: ignore[call-overload]
            differences.append(
                f"the {kind} of the route table, {name} with {weight:g}, is not the stage that is "
                "recorded: the table was written from outside; restore the state from a backup"
            )
    if stage is not None and stage.kind not in routed:
        differences.append(
            f"{stage.release} is recorded in {stage.kind} and no route names it: withdraw it with "
            f"`flywheel rollback {workload_id} --as NAME --reason TEXT`"
        )
    return differences


def _alias_differences(platform: "Platform", workload_id: str) -> list[str]:
    from flywheel.release.aliases import alias_differences

    if not _is_registered(platform, workload_id):
        return []  # MLflow is not asked before the first registration
    try:
        moved = alias_differences(platform.state, platform.registry, workload_id)
    except FlywheelError as error:
        return [error.message]
    return [
        f"MLflow's alias {alias} is {_version(has)}, by the route table {_version(due)}"
        for alias, (due, has) in moved.items()
    ]


def _repair_aliases(
    platform: "Platform", workload_id: str, repaired: list[str], problems: list[str]
) -> None:
    from flywheel.release.aliases import sync_aliases

    before = _alias_differences(platform, workload_id)
    if not before:
        return
    try:
        sync_aliases(platform.state, platform.registry, workload_id)
    except FlywheelError as error:
        problems.append(_with_next_step(error))
        return
    repaired += [f"{sentence}: set" for sentence in before]


def _is_registered(platform: "Platform", workload_id: str) -> bool:
    return any(release.model_version for release in platform.state.releases.of(workload_id))


def _server_differences(platform: "Platform", workload_id: str) -> list[str]:
    from flywheel.ports.model_server import BASE_RELEASE

    if not _is_own_process(platform):
        return []
    try:
        server = platform.server(platform.workload(workload_id))
        loaded = set(server.releases())
    except FlywheelError as error:
        return [error.message]
    routed = {route.release for route in platform.state.routes.of(workload_id)} - {BASE_RELEASE}
    return [f"the model server has not loaded {name}" for name in sorted(routed - loaded)]


def _repair_server(
    platform: "Platform", workload_id: str, repaired: list[str], problems: list[str]
) -> None:
    from flywheel.usecases.release import reconcile_server

    if not _is_own_process(platform):
        return
    try:
        done = reconcile_server(platform, workload_id)
    except FlywheelError as error:
        problems.append(_with_next_step(error))
        return
    repaired += [f"{name} is loaded into the model server" for name in done.loaded]
    repaired += [f"{name} is unloaded from the model server" for name in done.unloaded]


def _is_own_process(platform: "Platform") -> bool:
    # The local server lives in the process that asks it, and loads what it is asked for.
    return platform.settings.model_server == "vllm"


def _version(version: str | None) -> str:
    return "not set" if version is None else f"version {version}"


def _with_next_step(error: FlywheelError) -> str:
    return f"{error.message} Next: {error.next_step}" if error.next_step else error.message

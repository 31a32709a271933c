"""`assert_audit_agrees` and `assert_aliases_follow`: the records of a release tell one story."""

from flywheel.usecases.verify_decisions import decision_differences
from tests.fakes.release_world import ReleaseWorld

__all__ = ["assert_aliases_follow", "assert_audit_agrees"]


def assert_audit_agrees(world: ReleaseWorld) -> None:
    """The audit is unbroken and says so of every row of the workload."""
    assert decision_differences(world.platform(), world.workload.id) == []
    world.state.audit.verify()


def assert_aliases_follow(world: ReleaseWorld) -> None:
    """MLflow's aliases are those of the route table."""
    versions = {
        row.route: world.state.releases.get(row.release).model_version
        for row in world.state.routes.of(world.workload.id)
        if row.release != "base"
    }
    aliases = world.registry.aliases(world.workload.id)
    aliases.pop("previous", None)
    assert aliases == versions

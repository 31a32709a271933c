"""Approval: who may give it, what it is bound to, and everything that voids it."""

from datetime import timedelta
from pathlib import Path

import pytest

from flywheel.artifacts.gate_file import write_gate_report
from flywheel.errors import IntegrityError, RefusedError
from flywheel.release.approval import approve, reject, valid_approval
from flywheel.release.four_eyes import is_same_person


def test_approval_is_bound_to_its_evidence(world):
    """The row names candidate, gate report, champion, requester, channel and trust."""
    cycle = world.judged("r1")
    given = world.approve(cycle, actor="simulated:bob")
    attempt = world.state.cycles.attempt(cycle.ref)
    assert given.release == "r1"
    assert given.manifest_digest == world.state.releases.get("r1").manifest_digest
    assert given.gate_digest == attempt.gate.digest
    assert (given.champion, given.requested_by) == ("base", "ann")
    assert (given.channel, given.identity, given.simulated) == ("cli", "on_trust", True)
    assert given.expires_at - given.given_at == timedelta(days=7)
    assert valid_approval(world.state, cycle.ref) == given


@pytest.mark.parametrize("actor", ["ann", "Ann ", "simulated:ann"])
def test_owner_cannot_approve_a_cycle_of_the_system(world, actor):
    """A cycle opened by the system counts as its owner's, however the name is written."""
    cycle = world.judged("r1")
    with pytest.raises(RefusedError, match="asked for"):
        world.approve(cycle, actor=actor)


def test_requester_cannot_approve_but_the_owner_can(world):
    """A cycle that a person opened is approved by somebody else, the owner included."""
    cycle = world.open_cycle(opened_by="carl")
    world.train(cycle, "r1")
    world.gate(cycle, "r1")
    with pytest.raises(RefusedError, match="asked for"):
        world.approve(cycle, actor="carl")
    assert world.approve(cycle, actor="ann").verdict == "approved"


@pytest.mark.parametrize("actor", ["carl", "dora", "Dora", "d\u200bora", "\uff44ora"])
def test_who_asked_for_the_attempt_cannot_approve_it(world, actor):
    """Neither the opener of the cycle nor who retried it, however the name is written."""
    cycle = world.open_cycle(opened_by="carl")
    world.state.cycles.new_attempt(cycle.ref, "dora: again", actor="dora")
    world.train(cycle, "r1")
    world.gate(cycle, "r1")
    with pytest.raises(RefusedError, match="asked for"):
        world.approve(cycle, actor=actor)
    assert world.approve(cycle, actor="ann").requested_by == "carl, dora"


@pytest.mark.parametrize(("actor", "reason"), [("bob", " "), (" ", "good")])
def test_verdict_needs_a_name_and_a_reason(world, actor, reason):
    """An empty name or reason is refused."""
    cycle = world.judged("r1")
    with pytest.raises(RefusedError, match="name and a reason"):
        approve(world.state, cycle.ref, actor=actor, reason=reason)


def test_failed_gate_cannot_be_approved(world):
    """A candidate that the gate turned down is not up for review."""
    cycle = world.open_cycle()
    world.train(cycle, "r1")
    world.server.replies["r1"] = lambda _: "dent" if _.endswith("stain") else "stain"
    assert world.gate(cycle, "r1").outcome == "fail"
    with pytest.raises(RefusedError, match="gated_fail"):
        world.approve(cycle)


def test_approval_expires(world):
    """After its days an approval does not count, and can be given again."""
    cycle = world.approved("r1")
    world.clock.move_to(world.clock.now() + timedelta(days=7))
    with pytest.raises(RefusedError, match="expired"):
        world.promote(cycle)
    assert world.state.cycles.get(cycle.ref).status == "expired"
    world.approve(cycle)
    assert world.promote(cycle).release == "r1"


def test_approval_counts_until_its_last_moment(world):
    """One second before its end an approval still counts."""
    cycle = world.approved("r1")
    world.clock.move_to(world.clock.now() + timedelta(days=7, seconds=-1))
    assert world.promote(cycle).release == "r1"


def test_changed_adapter_cannot_be_approved(world):
    """What a person lets through is the adapter that was measured, byte for byte."""
    cycle = world.judged("r1")
    adapter = Path(world.state.releases.get("r1").adapter)
    (adapter / "adapter_model.safetensors").write_bytes(b"another adapter")
    with pytest.raises(IntegrityError):
        world.approve(cycle)
    assert world.state.approvals.of_cycle(cycle.ref) == []
    assert world.state.cycles.get(cycle.ref).status == "awaiting_approval"


@pytest.mark.parametrize("of_another", [{"attempt": 2}, {"cycle": "2026Q4-9"}])
def test_gate_report_of_another_attempt_is_no_evidence(world, of_another):
    """A report that is whole, passes and names the candidate counts for its own attempt alone."""
    cycle = world.judged("r1")
    gate = world.state.cycles.attempt(cycle.ref).gate
    report = gate.read()
    subject = report.subject.model_copy(update=of_another)
    other = report.model_copy(update={"subject": subject})
    world.state.attempts.record(cycle.ref, 1, write_gate_report(other, gate.path.parent))
    with pytest.raises(RefusedError, match="the present one is 1"):
        world.approve(cycle)
    assert world.state.approvals.of_cycle(cycle.ref) == []


def test_edited_gate_report_voids(world):
    """A changed report file is found by its hash."""
    cycle = world.approved("r1")
    path = world.state.cycles.attempt(cycle.ref).gate.path
    path.write_text(path.read_text().replace('"pass"', '"fail"', 1))
    with pytest.raises(IntegrityError, match="was changed"):
        world.promote(cycle)
    assert "was changed" in world.state.approvals.of_cycle(cycle.ref)[0].void_reason
    with pytest.raises(IntegrityError, match="was changed"):
        world.approve(cycle)


def test_new_gate_report_voids(world):
    """A gate that was run again after the review voids the approval."""
    cycle = world.approved("r1")
    world.clock.move_to(world.clock.now() + timedelta(hours=1))
    world.gate(cycle, "r1", again=True)
    with pytest.raises(RefusedError, match="gate report is now"):
        valid_approval(world.state, cycle.ref)
    voided = world.state.approvals.of_cycle(cycle.ref)[0]
    assert "gate report" in voided.void_reason
    assert world.state.cycles.get(cycle.ref).status == "awaiting_approval"


def test_repeated_gate_leaves_the_approval(world):
    """A run that is repeated after a crash finds the verdict and voids nothing."""
    cycle = world.approved("r1")
    world.clock.move_to(world.clock.now() + timedelta(hours=1))
    world.gate(cycle, "r1")
    assert world.promote(cycle).release == "r1"


def test_new_attempt_voids(world):
    """An approval of attempt 1 does not count for attempt 2."""
    cycle = world.approved("r1")
    state = world.state
    state.cycles.set_status(cycle.ref, "awaiting_approval", "look again")
    state.cycles.new_attempt(cycle.ref, "more data")
    world.train(cycle, "r2")
    world.gate(cycle, "r2")
    with pytest.raises(RefusedError, match="attempt is now 2"):
        world.promote(cycle)


def test_other_candidate_voids(world):
    """A candidate that is not the reviewed one does not get through."""
    cycle = world.approved("r1")
    world.train(cycle, "r2")
    with pytest.raises(RefusedError, match="candidate is now r2"):
        world.promote(cycle)


def test_changed_champion_voids(world):
    """A rollback between review and promotion voids the approval."""
    from flywheel.release.rollback import rollback

    world.promoted("r1")
    cycle = world.approved("r2")
    rollback(
        world.state, world.server, world.registry, world.workload.id, actor="eve", reason="bad"
    )
    with pytest.raises(RefusedError, match="champion is now base"):
        world.promote(cycle)
    with pytest.raises(RefusedError, match="champion is now base"):
        world.approve(cycle)


def test_rejection_is_recorded_and_voids(world):
    """A rejection closes the cycle and leaves no approval that counts."""
    cycle = world.approved("r1")
    given = reject(world.state, cycle.ref, actor="ann", reason="too slow")
    assert given.verdict == "rejected"
    assert world.state.cycles.get(cycle.ref).status == "rejected"
    with pytest.raises(RefusedError):
        world.promote(cycle)
    row = world.state.audit.of(f"{world.workload.id}/{cycle.name}")[-1]
    assert (row.event, row.actor, row.details["reason"]) == ("approval.rejected", "ann", "too slow")
    assert "evidence" not in row.details


def test_audit_holds_the_evidence_that_a_verdict_was_given_on(world):
    """What was shown to the person stands in the row of the verdict, where anything was shown."""
    cycle = world.judged("r1")
    approve(world.state, cycle.ref, actor="simulated:bob", reason="good", evidence="page 1")
    row = world.state.audit.of(f"{world.workload.id}/{cycle.name}")[-1]
    assert (row.event, row.details["evidence"]) == ("approval.approved", "page 1")


@pytest.mark.parametrize(
    "name", ["mara\u200b", "mara\ufe0f", "ma\u034fra", "mara\u3164", "ma\x07ra"]
)
def test_a_character_that_is_not_seen_makes_nobody_else(name):
    """Whoever asked for a cycle does not approve it under a name that looks the same."""
    assert is_same_person("Mara", name)

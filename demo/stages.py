"""`StagePlayer`: a release in shadow and canary, on what simulated clients ask the gateway.

In its first canary the replica that serves a release fails (simulated). The guards take the release
back by themselves; once the replica is mended, somebody asks for another try.
"""

from dataclasses import dataclass
from datetime import timedelta

from demo.clients import GatewayClients
from demo.faults import ReplicaFault
from demo.progress import Progress
from demo.runner import InProcessDagster
from demo.world import SimulatedWorld
from flywheel.clock import ManualClock
from flywheel.errors import IntegrityError
from flywheel.state import Stage
from flywheel.usecases.release import retry_release
from flywheel.usecases.release_path import release_path
from flywheel.wiring import Platform

__all__ = ["StagePlayer"]

_OPERATOR = "simulated:jon"
_MENDED = "The replica that served it is mended; the adapter has passed its gate and its shadow."
# Who fails is looked at each day, and what goes well once, at the end of its days.
_BETWEEN_LOOKS = timedelta(days=1)


@dataclass
class StagePlayer:
    """Let releases prove themselves, and a release that a fault took back try again."""

    platform: Platform
    clock: ManualClock
    dagster: InProcessDagster
    world: SimulatedWorld
    clients: GatewayClients
    fault: ReplicaFault
    progress: Progress

    def play(self) -> None:
        """Play the stages of the release that is on its way, until it is champion or taken back."""
        state, workload_id = self.platform.state, self.world.workload_id
        while (stage := state.stages.current(workload_id)) is not None:
            with self.progress.stage(stage.kind) as line:
                requests, feedback = self._play(stage)
                line.tell(f"{requests} requests of the gateway, {feedback} feedback")
                if self._is_faulty(stage):
                    line.tell("the canary's replica does not answer (simulated)")
                line.tell(*(look.reason for look in state.stages.looks(stage)[-1:]))
            with self.progress.stage("release") as line:
                line.tell(state.stages.get(stage.id).reason)

    def was_taken_back(self) -> bool:
        """Whether the guards took the newest release back because of the fault."""
        state = self.platform.state
        stages = state.stages.of(self.world.workload_id)
        if not stages or stages[-1].outcome != "rolled_back" or not self._is_faulty(stages[-1]):
            return False
        cycle = state.releases.get(stages[-1].release).cycle_ref
        return state.cycles.get(cycle).status == "rolled_back"

    def ask_for_another_try(self) -> None:
        """Let somebody (simulated) say that the replica is mended."""
        state = self.platform.state
        release = state.releases.get(state.stages.of(self.world.workload_id)[-1].release)
        with self.progress.stage("retry") as line:
            retry_release(
                self.platform, release.cycle_ref, actor=_OPERATOR, reason=_MENDED, channel="demo"
            )
            line.tell(f"{_OPERATOR} asks for another try of {release.cycle}: {_MENDED}")

    def _play(self, stage: Stage) -> tuple[int, int]:
        stages, workload_id = self.platform.state.stages, self.world.workload_id
        planned = release_path(self.platform, workload_id).stages[-1].planned
        assert planned is not None
        end = stage.began_at + timedelta(days=planned.days)
        # A killed demo repeats its newest look, and nothing before it.
        looks = [look.at for look in stages.looks(stage)]
        moment = max((at for at in looks if at < looks[-1]), default=stage.began_at)
        self.clock.move_to(max(moment, self.clock.now()))
        step = _BETWEEN_LOOKS if self._is_faulty(stage) else end - moment
        requests = feedback = 0
        self.dagster.must_tick("new_events_sensor")
        with self.clients.at_work(self.world.calls(moment, end)):
            while moment < end and self._is_current(stage):
                until = min(moment + step, end)
                with self.fault.of(stage.release if self._is_faulty(stage) else None):
                    requests += self.world.ask_gateway(
                        self.clients, moment, until, is_shadowed=stage.kind == "shadow"
                    )
                self.clock.move_to(max(until, self.clock.now()))
                self.dagster.must_tick("new_events_sensor")
                feedback += self.world.give_feedback(moment, until)
                self.dagster.must_tick("new_events_sensor")
                self.dagster.must_tick("staged_releases_sensor")
                moment = until
        self._must_have_ended(stage)
        return requests, feedback

    def _is_faulty(self, stage: Stage) -> bool:
        # The first canary of a release; read from the state, so that a killed demo goes on with it.
        own = self.platform.state.stages.of(stage.workload_id)
        canaries = [one for one in own if (one.release, one.kind) == (stage.release, "canary")]
        return stage.id == canaries[0].id if canaries else False

    def _is_current(self, stage: Stage) -> bool:
        current = self.platform.state.stages.current(stage.workload_id)
        return current is not None and current.id == stage.id

    def _must_have_ended(self, stage: Stage) -> None:
        if self._is_current(stage):
            raise IntegrityError(
                f"The {stage.kind} of {stage.release} is still not over after its days.",
                next_step=f"look at `flywheel release show {stage.workload_id}`",
            )

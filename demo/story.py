"""The order of things in the demo: every stage through Dagster, every window once.

What was done is read back from the stores, so that a killed demo resumes where it was.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import dagster as dg

from demo.calendar import START, WINDOWS, DemoWindow
from demo.progress import AnnouncingLauncher, Progress
from demo.runner import InProcessDagster, must_succeed
from demo.stages import StagePlayer
from demo.world import SimulatedWorld
from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.clock import ManualClock
from flywheel.io.atomic import write_json
from flywheel.orchestration.keys import MAINTENANCE_JOB, observe_job, review_job, sample_job
from flywheel.state import Cycle
from flywheel.usecases.observe import proposed_labels
from flywheel.usecases.simulated_world import APPROVER, approve_as_owner
from flywheel.usecases.taxonomy_edit import add_workload_labels
from flywheel.wiring import Platform

__all__ = ["Story"]

_PROPOSALS_FOR_A_LABEL = 3


@dataclass
class Story:
    """Play the windows of the calendar one after the other."""

    platform: Platform
    clock: ManualClock
    dagster: InProcessDagster
    world: SimulatedWorld
    launcher: AnnouncingLauncher
    progress: Progress
    stages: StagePlayer

    def play(self) -> None:
        """Play every window that was not finished before."""
        for window in WINDOWS:
            if self._note(window).exists():
                continue
            self.clock.move_to(max(window.start, self._newest_moment()))
            if window.number == 0 or WINDOWS[window.number - 1].period != window.period:
                self.progress.title(f"{window.period}")
                if window.period != WINDOWS[-1].period:
                    # Its cycle finds a trainer that has loaded its libraries while people worked.
                    self.launcher.prepare()
            self.progress.title(window.title)
            if self.clock.now() < window.end:
                self._play(window)
            else:
                # Cut off in the cycle at its end: all that came before is done.
                self._turn_wheel()
            write_json(self._note(window), {"finished": self.clock.now().isoformat()})
        self.clock.move_to(max(WINDOWS[-1].end, self._newest_moment()))
        self._turn_wheel()
        with self.progress.stage("upkeep"):
            self.dagster.must_run(MAINTENANCE_JOB)
            self.dagster.tick("waiting_sensor")

    def _play(self, window: DemoWindow) -> None:
        # A cycle that was due or cut off comes first: the window's traffic is answered by whoever
        # is champion after it.
        self._turn_wheel()
        self.stages.play()
        while self.stages.was_taken_back():
            self._turn_wheel()
            self.stages.ask_for_another_try()
            self._turn_wheel()
            self.stages.play()
        with self.progress.stage("traffic") as stage:
            traffic = self.world.send_traffic(window, self.clock.now())
            stage.tell(f"{traffic.events} messages, {traffic.feedback} feedback")
            stage.tell(f"{self.platform.state.routes.champion(self.world.workload_id)} answers")
        self.clock.move_to(window.end)
        with self.progress.stage("land") as stage:
            self.dagster.must_tick("new_events_sensor")
            stage.tell(self._told("landing"))
        with self.progress.stage("sample") as stage:
            self.dagster.must_run(sample_job(self.world.workload_id))
            stage.tell(self._told("review_items"))
        with self.progress.stage("review") as stage:
            before = self._corrections()
            judgments = self.world.annotate()
            self._collect()
            # What is in doubt goes to a second person, what two disagree on to a third.
            for _ in range(2):
                judgments += self.world.annotate()
                self._collect()
            new = self._corrections() - before
            stage.tell(f"{judgments} judgments", *(f"{n} {status}" for status, n in new.items()))
        with self.progress.stage("observe") as stage:
            self.dagster.must_run(observe_job(self.world.workload_id))
            stage.tell(self._told("drift"))
        self._grow_taxonomy()
        self._turn_wheel()

    def _turn_wheel(self) -> None:
        """Evaluate the trigger and take an open cycle to its end."""
        workload_id = self.world.workload_id
        state = self.platform.state
        before = len(state.decisions.of(workload_id))
        with self.progress.stage("cycle") as stage:
            self.launcher.show = stage.show
            for result in self.dagster.tick("trigger_sensor"):
                # A gate that says no fails its run: that is a result, not a fault.
                if not self._was_judged(
                    CycleRef(workload_id, result.dagster_run.tags["dagster/partition"])
                ):
                    must_succeed(result)
                stage.tell(self._told("gate"))
            stage.tell(*(d.reason for d in state.decisions.of(workload_id)[before:]))
        for cycle in state.cycles.list_open(workload_id):
            if cycle.status == "awaiting_approval":
                self._approve(cycle)
        with self.progress.stage("release") as stage:
            if self.dagster.must_tick("granted_approvals_sensor"):
                stage.tell(*(f"{r.route} {r.release}" for r in state.routes.of(workload_id)))

    def _was_judged(self, cycle: CycleRef) -> bool:
        status = self.platform.state.cycles.get(cycle).status
        return status in {"gated_fail", "inconclusive", "awaiting_judgments"}

    def _approve(self, cycle: Cycle) -> None:
        with self.progress.stage("approve") as stage:
            approve_as_owner(self.platform, cycle.ref, channel="demo")
            stage.tell(f"{APPROVER} approves {cycle.name} (simulated)")

    def _grow_taxonomy(self) -> None:
        """Let the owner add the categories that several annotators asked for."""
        proposals = proposed_labels(self.platform, self.world.workload)
        categories = sorted(n for n, count in proposals.items() if count >= _PROPOSALS_FOR_A_LABEL)
        if not categories:
            return
        with self.progress.stage("taxonomy") as stage:
            settings, workload_id = self.platform.settings, self.world.workload_id
            version = add_workload_labels(settings, workload_id, categories).taxonomy_version
            self._collect(force=True)
            stage.tell(f"the owner (simulated) adds {', '.join(categories)}: version {version}")

    def _corrections(self) -> Counter[str]:
        rows = self.platform.lake.rows(
            "select status, count(*) as n from latest_corrections where source <> 'seed' "
            "group by 1 order by 1"
        )
        return Counter({row["status"]: row["n"] for row in rows})

    def _collect(self, *, force: bool = False) -> None:
        if force:
            self.dagster.must_run(review_job(self.world.workload_id))
            return
        self.dagster.must_tick("finished_reviews_sensor")

    def _told(self, asset: str) -> str:
        """Return what an asset's newest materialization says in one line."""
        prefix = "platform" if asset == "landing" else self.world.workload_id
        event = self.dagster.instance.get_latest_materialization_event(dg.AssetKey([prefix, asset]))
        materialization = event.asset_materialization if event else None
        summary = materialization.metadata.get("summary") if materialization else None
        return str(summary.value) if summary is not None else ""

    def _newest_moment(self) -> datetime:
        # A demo interrupted in a cycle resumes at the moment that cycle was opened.
        state, workload_id = self.platform.state, self.world.workload_id
        moments = [decision.decided_at for decision in state.decisions.of(workload_id)]
        return max([START, *moments, *(c.changed_at for c in state.cycles.of(workload_id))])

    def _note(self, window: DemoWindow) -> Path:
        return self.platform.home / "demo" / f"window-{window.number}.json"

"""The order of things in the demo: every stage through Dagster, every window once.

What was done is read back from the stores, so that a demo that was killed goes on where it was.
"""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import dagster as dg

from demo.calendar import START, WINDOWS, DemoWindow
from demo.progress import AnnouncingLauncher, Progress, Stage
from demo.runner import InProcessDagster
from demo.world import SimulatedWorld
from flywheel.clock import ManualClock
from flywheel.errors import IntegrityError
from flywheel.orchestration.keys import MAINTENANCE_JOB, observe_job, review_job, sample_job
from flywheel.release.approval import approve
from flywheel.state import Cycle
from flywheel.usecases.observe import proposed_labels
from flywheel.wiring import Platform
from flywheel.workload.taxonomy_change import add_labels

__all__ = ["Story"]

APPROVER = "simulated:mara"
_PROPOSALS_FOR_A_LABEL = 3


@dataclass
class Story:
    """Play the windows of the calendar one after the other."""

    platform: Platform
    clock: ManualClock
    dagster: InProcessDagster
    world: SimulatedWorld
    progress: Progress

    def play(self) -> None:
        """Play every window that was not finished before."""
        for window in WINDOWS:
            if self._note(window).exists():
                continue
            self.clock.move_to(max(window.start, self._newest_moment()))
            if window.number == 0 or WINDOWS[window.number - 1].period != window.period:
                self.progress.title(f"{window.period}")
            self.progress.title(window.title)
            self._play(window)
            self._note(window).write_text(json.dumps({"finished": self.clock.now().isoformat()}))
        self.clock.move_to(max(WINDOWS[-1].end, self._newest_moment()))
        self._turn_wheel()
        with self.progress.stage("upkeep"):
            self._run(MAINTENANCE_JOB)
            self.dagster.tick("waiting_sensor")

    def _play(self, window: DemoWindow) -> None:
        # A cycle that was due or cut off comes first: the window's traffic is answered by whoever
        # is champion after it.
        self._turn_wheel()
        with self.progress.stage("traffic") as stage:
            traffic = self.world.send_traffic(window)
            stage.tell(f"{traffic.events} messages, {traffic.feedback} feedback")
            stage.tell(f"{self.platform.state.routes.champion(self.world.workload_id)} answers")
        self.clock.move_to(window.end)
        with self.progress.stage("land") as stage:
            for result in self.dagster.tick("new_events_sensor"):
                self._must_succeed(result)
            stage.tell(self._told("landing"))
        with self.progress.stage("sample") as stage:
            self._run(sample_job(self.world.workload_id))
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
            self._run(observe_job(self.world.workload_id))
            stage.tell(self._told("drift"))
        self._grow_taxonomy()
        self._turn_wheel()

    def _turn_wheel(self) -> None:
        """Evaluate the trigger and take an open cycle to its end."""
        workload_id = self.world.workload_id
        state = self.platform.state
        before = len(state.decisions.of(workload_id))
        with self.progress.stage("cycle") as stage:
            self._announce(stage)
            for result in self.dagster.tick("trigger_sensor"):
                # A gate that says no fails its run: that is a result, not a fault.
                if not self._was_judged(str(result.dagster_run.tags["dagster/partition"])):
                    self._must_succeed(result)
                stage.tell(self._told("gate"))
            stage.tell(*(d.reason for d in state.decisions.of(workload_id)[before:]))
        for cycle in state.cycles.list_open(workload_id):
            if cycle.status == "awaiting_approval":
                self._approve(cycle)
        with self.progress.stage("release") as stage:
            for result in self.dagster.tick("granted_approvals_sensor"):
                self._must_succeed(result)
                stage.tell(f"champion {state.routes.champion(workload_id)}")

    def _announce(self, stage: Stage) -> None:
        launcher = self.platform.launcher
        inner = launcher.launcher if isinstance(launcher, AnnouncingLauncher) else launcher
        self.platform.launcher = AnnouncingLauncher(inner, stage.show)

    def _was_judged(self, cycle: str) -> bool:
        status = self.platform.state.cycles.get(self.world.workload_id, cycle).status
        return status in {"gated_fail", "inconclusive", "awaiting_judgments"}

    def _approve(self, cycle: Cycle) -> None:
        with self.progress.stage("approve") as stage:
            approve(
                self.platform.state,
                cycle.workload_id,
                cycle.name,
                actor=APPROVER,
                reason="The gate passed and the gain is on the labels that people asked for.",
                channel="demo",
            )
            stage.tell(f"{APPROVER} approves {cycle.name} (simulated)")

    def _grow_taxonomy(self) -> None:
        """Let the owner add the categories that several annotators asked for."""
        proposals = proposed_labels(self.platform, self.world.workload)
        wanted = sorted(n for n, count in proposals.items() if count >= _PROPOSALS_FOR_A_LABEL)
        if not wanted:
            return
        with self.progress.stage("taxonomy") as stage:
            path = self.platform.settings.workload_folder / f"{self.world.workload_id}.yaml"
            version = add_labels(path, wanted).taxonomy_version
            self._collect(force=True)
            stage.tell(f"the owner (simulated) adds {', '.join(wanted)}: version {version}")

    def _corrections(self) -> Counter[str]:
        rows = self.platform.lake.rows(
            "select status, count(*) as n from latest_corrections where source <> 'seed' group by 1"
        )
        return Counter({row["status"]: row["n"] for row in rows})

    def _collect(self, *, force: bool = False) -> None:
        if force:
            self._run(review_job(self.world.workload_id))
            return
        for result in self.dagster.tick("finished_reviews_sensor"):
            self._must_succeed(result)

    def _run(self, job: str) -> None:
        self._must_succeed(self.dagster.run(job))

    def _must_succeed(self, result: dg.ExecuteInProcessResult) -> None:
        if result.success:
            return
        failures = [e for e in result.all_events if e.is_step_failure]
        message = "; ".join(str(e.step_failure_data.error_display_string) for e in failures)
        raise IntegrityError(
            f"The run {result.run_id} of {result.dagster_run.job_name} failed: {message[:2000]}",
            next_step="start the demo again; it goes on where it was",
        )

    def _told(self, asset: str) -> str:
        """Return what an asset's newest materialization says in one line."""
        prefix = "platform" if asset == "landing" else self.world.workload_id
        event = self.dagster.instance.get_latest_materialization_event(dg.AssetKey([prefix, asset]))
        materialization = event.asset_materialization if event else None
        summary = materialization.metadata.get("summary") if materialization else None
        return str(summary.value) if summary is not None else ""

    def _newest_moment(self) -> datetime:
        # A demo that was cut off in a cycle goes on at the moment that cycle was opened.
        state, workload_id = self.platform.state, self.world.workload_id
        moments = [decision.decided_at for decision in state.decisions.of(workload_id)]
        return max([START, *moments, *(c.changed_at for c in state.cycles.of(workload_id))])

    def _note(self, window: DemoWindow) -> Path:
        return self.platform.home / "demo" / f"window-{window.number}.json"

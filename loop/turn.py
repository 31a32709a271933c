"""The order of things: what the loop does itself, and what it waits for the services to do.

No sensor is ticked and no run is started by hand: Dagster's daemon does both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.errors import IntegrityError
from flywheel.simulation.traffic import SimulatedCall
from flywheel.state import Cycle, StageKind
from flywheel.usecases.figures import training_progress
from flywheel.usecases.release_path import passed_stage
from flywheel.usecases.simulated_world import APPROVER, approve_as_owner
from flywheel.wiring import Platform
from flywheel.workload.model import Workload
from loop.browser import ByHand, answer_one, find_chromium
from loop.client import AskingClient, produce
from loop.people import annotate
from loop.stage import WORKLOAD, Places, Sizes, Window, write_workload
from loop.waiting import ProgressReporter

__all__ = ["Turn"]

# Dagster's daemon looks at the workload files again once a minute, and asks its schedules then.
_NOTICE_SECONDS = 150
_SOON_SECONDS = 15
_ANSWERS_AFTERWARDS = 10
_TOLD_EVERY = 20
_LONGEST_STAGE_SECONDS = 3 * 3600
_LONGEST_RELEASE_SECONDS = 600
_FAILED = frozenset(
    {"stopped", "gated_fail", "inconclusive", "awaiting_judgments", "rejected", "rolled_back"}
)


@dataclass
class Turn:
    """One turn of the wheel; every figure of it is read back from the stores.

    ``sample_at`` is when the daemon chooses what people review, if the traffic has landed by then.
    The last fields are filled as the turn goes on.
    """

    platform: Platform
    sizes: Sizes
    base: str
    window: Window
    places: Places
    reporter: ProgressReporter
    key: str
    sample_at: datetime
    messages: list[tuple[bytes, bytes]] | None = None
    client: AskingClient | None = None
    chosen_at: datetime | None = None
    by_hand: ByHand | None = None
    cycle: CycleRef | None = None
    dataset_hash: str | None = None
    champion: str | None = None

    def play(self) -> None:
        """Play the turn; the client asks from the first answer on until after the swap."""
        calls = self.window.calls(self.workload, self.sizes.events)
        self._traffic(calls)
        self.client = AskingClient(self.places.gateway, self.key, WORKLOAD, calls)
        self.client.start()
        try:
            self._sample()
            self._review()
            cycle = self._cycle()
            self._approve(cycle)
            self._prove(cycle, "shadow")
            self._prove(cycle, "canary")
            self._swap(cycle)
        finally:
            self.client.stop()
        self._settle()

    @property
    def workload(self) -> Workload:
        """The workload as its file says it now."""
        return self.platform.workload(WORKLOAD)

    def _traffic(self, calls: list[SimulatedCall]) -> None:
        with self.reporter.part("traffic") as tell:
            self.reporter.show(f"the base model answers {len(calls)} reports")
            self.messages = produce(self.platform, self.workload, calls)
            self.reporter.wait(
                lambda: self._landed() == len(calls),
                f"{len(calls)} events in the lake",
                where=self.places.logs,
                seconds=120,
            )
            tell(f"{len(calls)} events of six days through Kafka into the lake")

    def _sample(self) -> None:
        with self.reporter.part("sample") as tell:
            at = self._moment()
            items = self.reporter.wait(
                self._items,
                f"the daily schedule to choose what people review, at {at:%H:%M} UTC",
                where=f"{self.places.dagster}/automation",
                seconds=_NOTICE_SECONDS + 300,
            )
            self.reporter.wait(
                lambda: self.platform.queue.status(self.workload).items == items,
                f"{items} items in the queue",
                where=self.places.queue,
            )
            tell(f"the daemon's schedule chose {items} answers")

    def _moment(self) -> datetime:
        # On a busy machine the traffic may land after the moment that was planned.
        now = datetime.now(UTC)
        if self.sample_at > now + timedelta(seconds=_SOON_SECONDS):
            return self.sample_at
        at = now + timedelta(seconds=_NOTICE_SECONDS)
        folder = self.platform.settings.workload_folder
        write_workload(folder, self.base, self.sizes, self.window, at)
        return at

    def _review(self) -> None:
        with self.reporter.part("review") as tell:
            judgments = self._in_browser(tell)
            while (count := self._annotate(judgments)) or not self._judged():
                judgments += count
                self.reporter.wait(
                    self._collected,
                    "the sensor to collect what people said",
                    where=f"{self.places.dagster}/assets/{WORKLOAD}/corrections",
                )
            tell(f"{judgments} judgments (simulated people)")

    def _annotate(self, before: int) -> int:
        def show(count: int) -> None:
            if count % _TOLD_EVERY == 1:
                self.reporter.show(f"{before + count} judgments given ({self.places.queue})")

        return annotate(self.platform, self.workload, show)

    def _in_browser(self, tell: Callable[[str], None]) -> int:
        chromium = find_chromium()
        if chromium is None:
            tell("no browser review: there is no Chromium on this machine")
            return 0
        picture = self.platform.home / "annotator.png"
        done = answer_one(self.platform, self.workload, chromium, picture, self.reporter.show)
        self.by_hand = done
        outcome = "corrected" if done.corrected else "confirmed"
        tell(f"one item {outcome} in a browser by keyboard ({done.picture})")
        return 1

    def _cycle(self) -> Cycle:
        place = f"{self.places.dagster}/assets/{WORKLOAD}/trigger"
        with self.reporter.part("trigger") as tell:
            cycle = self.reporter.wait(self._opened, "the trigger to open a cycle", where=place)
            tell(cycle.reason)
        for part, is_done, where in (
            ("dataset", self._has_dataset, f"{self.places.dagster}/assets/{WORKLOAD}/dataset"),
            ("train", self._is_trained, self.places.training),
            ("gate", self._is_judged, f"{self.places.dagster}/assets/{WORKLOAD}/gate"),
        ):
            with self.reporter.part(part) as tell:
                outcome = self.reporter.wait(
                    partial(is_done, cycle.ref),
                    part,
                    where=where,
                    seconds=_LONGEST_STAGE_SECONDS,
                    check=partial(self._must_go_on, cycle.ref),
                )
                tell(outcome)
        return cycle

    def _approve(self, cycle: Cycle) -> None:
        with self.reporter.part("approve") as tell:
            approve_as_owner(self.platform, cycle.ref, channel="loop")
            tell(f"{APPROVER} approves {cycle.name}, which the system had opened")

    def _prove(self, cycle: Cycle, kind: StageKind) -> None:
        with self.reporter.part(kind) as tell:
            reason = self.reporter.wait(
                lambda: passed_stage(self.platform, WORKLOAD, kind),
                f"the {kind} to pass",
                where=f"{self.places.dagster}/assets/{WORKLOAD}/release",
                seconds=_LONGEST_RELEASE_SECONDS,
                check=partial(self._must_go_on, cycle.ref),
            )
            tell(reason)

    def _swap(self, cycle: Cycle) -> None:
        assert self.client is not None
        client = self.client
        where = f"{self.places.dagster}/assets/{WORKLOAD}/release"
        with self.reporter.part("swap") as tell:
            champion = self.reporter.wait(
                lambda: self._promoted(cycle.ref),
                "the promotion",
                where=where,
                seconds=_LONGEST_RELEASE_SECONDS,
                check=partial(self._must_go_on, cycle.ref),
            )
            self.reporter.wait(
                lambda: client.answered(champion) >= _ANSWERS_AFTERWARDS,
                "answers of the new release",
                where=self.places.logs,
                check=self._client_must_ask,
            )
            tell(f"{champion} answers")
        self.champion, self.cycle = champion, cycle.ref

    def _settle(self) -> None:
        with self.reporter.part("settle") as tell:
            self.reporter.wait(
                lambda: not self.missing(),
                "the client's last answers in the lake",
                where=self.places.logs,
                seconds=120,
            )
            tell(f"{self._landed()} events landed")

    def missing(self) -> set[str]:
        """Return the ids of answers that the client got and the lake does not hold."""
        assert self.client is not None
        ids = {r.inference_id for r in self.client.replies if r.error is None}
        rows = self.platform.lake.rows("select inference_id from first_inferences")
        return ids - {row["inference_id"] for row in rows}

    # -- what the stores say -------------------------------------------------------------------

    def _landed(self) -> int:
        rows = self.platform.lake.rows("select count(*) as n from answered_inferences")
        return int(rows[0]["n"])

    def _items(self) -> int:
        rows = self.platform.lake.rows(
            "select count(distinct item_id) as n, max(chosen_at) as at from review_items "
            "where slice <> 'adjudication'"
        )
        self.chosen_at = rows[0]["at"]
        return int(rows[0]["n"])

    def _collected(self) -> bool:
        # A judgment given after the last look is seen by the next one.
        rows = self.platform.lake.rows("select count(*) as n from latest_annotations")
        return int(rows[0]["n"]) >= self.platform.queue.status(self.workload).judgments_given

    def _judged(self) -> bool:
        status = self.platform.queue.status(self.workload)
        return status.answered == status.items

    def _opened(self) -> Cycle | None:
        cycles = self.platform.state.cycles.of(WORKLOAD)
        return cycles[-1] if cycles else None

    def _has_dataset(self, cycle: CycleRef) -> str:
        dataset = self.platform.state.cycles.attempt(cycle).dataset
        if dataset is None:
            return ""
        self.dataset_hash = dataset.hash
        counts = ", ".join(f"{n} {split}" for split, n in dataset.counts.items())
        return f"{dataset.hash[:12]}: {counts}"

    def _is_trained(self, cycle: CycleRef) -> str:
        candidate = self.platform.state.cycles.attempt(cycle).candidate
        if candidate is not None:
            return candidate.release
        steps = training_progress(self.platform, cycle)
        if steps:
            self.reporter.show(
                f"step {steps[-1].step} of {steps[-1].steps}, {self.places.training}"
            )
        return ""

    def _is_judged(self, cycle: CycleRef) -> str:
        cycle_now = self.platform.state.cycles.get(cycle)
        return cycle_now.status_reason if cycle_now.status == "awaiting_approval" else ""

    def _promoted(self, cycle: CycleRef) -> str:
        promoted = self.platform.state.cycles.get(cycle).status == "promoted"
        return self.platform.state.routes.champion(WORKLOAD) if promoted else ""

    def _must_go_on(self, cycle: CycleRef) -> None:
        cycle_now = self.platform.state.cycles.get(cycle)
        if cycle_now.status in _FAILED:
            raise IntegrityError(
                f"The cycle {cycle.name} is {cycle_now.status}: {cycle_now.status_reason}",
                next_step=f"look at its run in Dagster ({self.places.dagster}) and its log",
            )

    def _client_must_ask(self) -> None:
        assert self.client is not None
        if self.client.failures:
            raise IntegrityError(
                f"A request of the client failed: {self.client.failures[0].error}",
                next_step=f"look at the logs of gateway and model server, {self.places.logs}",
            )

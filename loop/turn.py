"""The order of things: what the loop does itself, and what it waits for the services to do.

Nobody ticks a sensor and nobody starts a run here: Dagster's daemon does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from flywheel.errors import IntegrityError
from flywheel.simulation.traffic import SimulatedCall
from flywheel.state import Cycle
from flywheel.train.reporting import read_progress
from flywheel.usecases.cycle import run_folder
from flywheel.wiring import Platform
from flywheel.workload.model import Workload
from loop.browser import answer_one, find_chromium
from loop.client import AskingClient, Sent, produce
from loop.people import annotate, give_approval
from loop.stage import WORKLOAD, Sizes, Window, write_workload
from loop.waiting import Teller

__all__ = ["Places", "Turn"]

# Dagster's daemon looks at the workload files again once a minute, and asks its schedules then.
_NOTICE_SECONDS = 150
_ANSWERS_AFTERWARDS = 10
_TOLD_EVERY = 20
_LONGEST_STAGE_SECONDS = 3 * 3600
_FAILED = frozenset({"stopped", "gated_fail", "inconclusive", "awaiting_judgments", "rejected"})


@dataclass(frozen=True)
class Places:
    """Where a person looks."""

    dagster: str
    queue: str
    training: str
    mlflow: str
    logs: str


@dataclass
class Turn:
    """One turn of the wheel; every figure of it is read back from the stores."""

    platform: Platform
    sizes: Sizes
    base: str
    window: Window
    places: Places
    teller: Teller
    sent: Sent | None = None
    client: AskingClient | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def play(self) -> None:
        """Play the turn; the client asks from the first answer on until after the swap."""
        calls = self.window.calls(self.workload, self.sizes.events)
        self._traffic(calls)
        self.client = AskingClient(self.platform, self.workload, calls)
        self.client.start()
        try:
            self._sample()
            self._review()
            cycle = self._cycle()
            self._approve(cycle)
            self._swap(cycle)
        finally:
            self.client.stop()
        self._settle()

    @property
    def workload(self) -> Workload:
        """The workload as its file says it now."""
        return self.platform.workload(WORKLOAD)

    def _traffic(self, calls: list[SimulatedCall]) -> None:
        with self.teller.part("traffic") as tell:
            self.teller.show(f"the base model answers {len(calls)} reports")
            self.sent = produce(self.platform, self.workload, calls)
            self.teller.wait(
                lambda: self._landed() == len(calls),
                f"{len(calls)} events in the lake",
                where=self.places.logs,
                seconds=120,
            )
            tell(f"{len(calls)} events of six days through Kafka into the lake")

    def _sample(self) -> None:
        with self.teller.part("sample") as tell:
            at = datetime.now(UTC) + timedelta(seconds=_NOTICE_SECONDS)
            folder = self.platform.settings.workload_folder
            write_workload(folder, self.base, self.sizes, self.window, at)
            items = self.teller.wait(
                self._items,
                f"the daily schedule to choose what people review, at {at:%H:%M} UTC",
                where=f"{self.places.dagster}/automation",
                seconds=_NOTICE_SECONDS + 300,
            )
            self.teller.wait(
                lambda: self.platform.queue.status(self.workload).items == items,
                f"{items} items in the queue",
                where=self.places.queue,
            )
            tell(f"the daemon's schedule chose {items} answers")

    def _review(self) -> None:
        with self.teller.part("review") as tell:
            judgments = self._in_browser(tell)
            while (given := self._annotate(judgments)) or not self._judged():
                judgments += given
                self.teller.wait(
                    self._collected,
                    "the sensor to collect what people said",
                    where=f"{self.places.dagster}/assets/{WORKLOAD}/corrections",
                )
            tell(f"{judgments} judgments (simulated people)")

    def _annotate(self, before: int) -> int:
        def show(given: int) -> None:
            if given % _TOLD_EVERY == 1:
                self.teller.show(f"{before + given} judgments given ({self.places.queue})")

        return annotate(self.platform, self.workload, show)

    def _in_browser(self, tell: Callable[[str], None]) -> int:
        chromium = find_chromium()
        if chromium is None:
            tell("nobody answers in a browser: there is no Chromium on this machine")
            return 0
        picture = self.platform.home / "annotator.png"
        done = answer_one(self.platform, self.workload, chromium, picture, self.teller.show)
        self.facts["by_hand"] = done
        how = "corrected" if done.corrected else "confirmed"
        tell(f"one item {how} in a browser by keyboard ({done.picture})")
        return 1

    def _cycle(self) -> Cycle:
        place = f"{self.places.dagster}/assets/{WORKLOAD}/trigger"
        with self.teller.part("trigger") as tell:
            cycle = self.teller.wait(self._opened, "the trigger to open a cycle", where=place)
            tell(cycle.reason)
        for part, seen, where in (
            ("dataset", self._has_dataset, f"{self.places.dagster}/assets/{WORKLOAD}/dataset"),
            ("train", self._is_trained, self.places.training),
            ("gate", self._is_judged, f"{self.places.dagster}/assets/{WORKLOAD}/gate"),
        ):
            with self.teller.part(part) as tell:
                told = self.teller.wait(
                    partial(seen, cycle.name),
                    part,
                    where=where,
                    seconds=_LONGEST_STAGE_SECONDS,
                    check=partial(self._must_go_on, cycle.name),
                )
                tell(told)
        return cycle

    def _approve(self, cycle: Cycle) -> None:
        with self.teller.part("approve") as tell:
            give_approval(self.platform, self.workload, cycle.name)
            self.facts["approved_at"] = datetime.now(UTC)
            tell(f"simulated:mara approves {cycle.name}, which the system had opened")

    def _swap(self, cycle: Cycle) -> None:
        assert self.client is not None
        client = self.client
        with self.teller.part("swap") as tell:
            champion = self.teller.wait(
                lambda: self._promoted(cycle.name),
                "the promotion",
                where=f"{self.places.dagster}/assets/{WORKLOAD}/release",
                check=partial(self._must_go_on, cycle.name),
            )
            self.teller.wait(
                lambda: client.answered(champion) >= _ANSWERS_AFTERWARDS,
                "answers of the new release",
                where=self.places.logs,
                check=self._client_must_ask,
            )
            tell(f"{champion} answers")
        self.facts |= {"champion": champion, "cycle": cycle.name}

    def _settle(self) -> None:
        with self.teller.part("settle") as tell:
            assert self.client is not None
            assert self.sent is not None
            total = len(self.sent.messages) + len(self.client.answers) - len(self.client.failures)
            self.teller.wait(
                lambda: self._landed() == total,
                "the client's last events in the lake",
                where=self.places.logs,
                seconds=120,
            )
            tell(f"{total} events landed")

    # -- what the stores say -------------------------------------------------------------------

    def _landed(self) -> int:
        rows = self.platform.lake.rows("select count(*) as n from first_inferences")
        return int(rows[0]["n"])

    def _items(self) -> int:
        rows = self.platform.lake.rows(
            "select count(distinct item_id) as n, max(chosen_at) as at from review_items "
            "where slice <> 'adjudication'"
        )
        self.facts["chosen_at"] = rows[0]["at"]
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

    def _attempt(self, cycle: str) -> Mapping[str, Any]:
        return self.platform.state.cycles.attempt(WORKLOAD, cycle).facts

    def _has_dataset(self, cycle: str) -> str:
        facts = self._attempt(cycle)
        if "dataset_hash" not in facts:
            return ""
        self.facts["dataset_hash"] = facts["dataset_hash"]
        counts = ", ".join(f"{n} {split}" for split, n in facts["dataset_counts"].items())
        return f"{facts['dataset_hash'][:12]}: {counts}"

    def _is_trained(self, cycle: str) -> str:
        facts = self._attempt(cycle)
        if "release" in facts:
            return str(facts["release"])
        number = self.platform.state.cycles.get(WORKLOAD, cycle).attempt
        steps = read_progress(run_folder(self.platform, WORKLOAD, cycle, number))
        if steps:
            self.teller.show(f"step {steps[-1].step} of {steps[-1].steps}, {self.places.training}")
        return ""

    def _is_judged(self, cycle: str) -> str:
        found = self.platform.state.cycles.get(WORKLOAD, cycle)
        return found.status_reason if found.status == "awaiting_approval" else ""

    def _promoted(self, cycle: str) -> str:
        promoted = self.platform.state.cycles.get(WORKLOAD, cycle).status == "promoted"
        return self.platform.state.routes.champion(WORKLOAD) if promoted else ""

    def _must_go_on(self, cycle: str) -> None:
        found = self.platform.state.cycles.get(WORKLOAD, cycle)
        if found.status in _FAILED:
            raise IntegrityError(
                f"The cycle {cycle} is {found.status}: {found.status_reason}",
                next_step=f"look at its run in Dagster ({self.places.dagster}) and its log",
            )

    def _client_must_ask(self) -> None:
        assert self.client is not None
        if self.client.failures:
            raise IntegrityError(
                f"A request of the client failed: {self.client.failures[0].error}",
                next_step=f"look at the model server's log, {self.places.logs}",
            )

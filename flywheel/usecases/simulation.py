"""Quarters of a labelled file: what the review policy buys, against random labelling.

Every quarter the model trained so far answers the traffic, people (simulated) judge within the
budget, and an adapter is trained afresh and measured on a test file that nothing else reads. No
gate stands between the quarters: the curve shows labelling, not promotion.
"""

import json
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flywheel.artifacts.snapshot import read_rows
from flywheel.clock import ManualClock
from flywheel.errors import MeasurementError
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC, encode
from flywheel.ingest.seed import import_seed
from flywheel.ports.model_server import BASE_RELEASE
from flywheel.review.sampling.batches import sample_batch
from flywheel.settings import Settings
from flywheel.simulation.annotators import SimulatedAnnotators
from flywheel.simulation.baseline import tfidf_accuracy
from flywheel.simulation.client import inference_event
from flywheel.simulation.labelled import LabelledRow, split_labelled
from flywheel.simulation.stream import FIRST_QUARTER, quarter_bounds, replayed_calls
from flywheel.simulation.truth import SimulatedTruth
from flywheel.usecases.cycle import assemble_dataset, codec_of, train_candidate
from flywheel.usecases.landing import land
from flywheel.usecases.observe import collect_reviews
from flywheel.usecases.simulation_plan import QuarterResult, SimulationPlan, write_workload
from flywheel.wiring import Platform

__all__ = ["simulate"]

Tell = Callable[[str], None]


def simulate(
    plan: SimulationPlan,
    train: Sequence[LabelledRow],
    test: Sequence[LabelledRow],
    *,
    home: Path,
    cache: Path,
    tell: Tell,
) -> list[QuarterResult]:
    """Play the quarters that were not finished before and return all results."""
    simulation = _Simulation(plan, list(train), list(test), home, cache, tell)
    try:
        return simulation.play()
    finally:
        simulation.platform.close()


class _Simulation:
    def __init__(
        self,
        plan: SimulationPlan,
        train: list[LabelledRow],
        test: list[LabelledRow],
        home: Path,
        cache: Path,
        tell: Tell,
    ) -> None:
        self.plan, self.test, self.home, self.tell = plan, test, home, tell
        self.texts = [row.text for row in train]
        self.split = split_labelled(
            train,
            seed_per_label=plan.seed_per_label,
            quarters=plan.quarters,
            seed=plan.seed,
            cap=plan.cap,
        )
        self.clock = ManualClock(FIRST_QUARTER)
        settings = Settings(home=home, workloads=home / "workloads", cache=cache)
        self.platform = Platform(settings, self.clock)
        self.workload = write_workload(plan, sorted({row.label for row in train}), home)
        self.truth = SimulatedTruth(home, plan.workload_id)

    def play(self) -> list[QuarterResult]:
        self.tell("base model")
        self.platform.build_base(self.workload, self.texts, on_progress=self.tell)
        import_seed(
            self.platform.lake,
            self.workload,
            [(row.text, row.label) for row in self.split.seed],
            source_name="seed",
            now=self.clock.now(),
        )
        results = []
        for quarter in range(self.plan.quarters + 1):
            path = self.home / "results" / f"quarter-{quarter}.json"
            if not path.exists():
                result = self._quarter(quarter)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.with_suffix(".tmp").write_text(json.dumps(asdict(result)))
                path.with_suffix(".tmp").replace(path)
            self._close_cycles(quarter)
            results.append(QuarterResult(**json.loads(path.read_text())))
        return results

    def _quarter(self, quarter: int) -> QuarterResult:
        started = time.perf_counter()
        judgments, traffic_accuracy, rows = 0, None, []
        if quarter:
            rows = self.split.quarters[quarter - 1]
            self.clock.move_to(quarter_bounds(quarter)[1])
            if self.plan.arm == "random":
                judgments = self._label_at_random(rows, quarter)
            else:
                traffic_accuracy = self._send_traffic(rows, quarter)
                judgments = self._review(quarter)
        release, labels = self._train(quarter)
        self.tell(f"quarter {quarter}: measure")
        accuracy = self._accuracy(release)
        return QuarterResult(
            quarter=quarter,
            judgments=judgments,
            labels=len(labels),
            traffic=len(rows),
            accuracy=accuracy,
            tfidf=tfidf_accuracy(
                labels, [(row.text, row.label) for row in self.test], seed=self.plan.seed
            ),
            traffic_accuracy=traffic_accuracy,
            reviewed=self._reviewed(),
            seconds=time.perf_counter() - started,
        )

    def _send_traffic(self, rows: list[LabelledRow], quarter: int) -> float:
        self.tell(f"quarter {quarter}: {len(rows)} texts are answered")
        calls = replayed_calls(rows, quarter=quarter, seed=self.plan.seed)
        self.truth.remember(calls)
        release = self._champion()
        codec = codec_of(self.platform, self.workload)
        server = self.platform.server(self.workload)
        answers = server.answer(release, codec, [call.text for call in calls])
        log = self.platform.log
        for topic in (INFERENCES_TOPIC, FEEDBACK_TOPIC):
            log.create_topic(topic, partitions=4)
        records: list[tuple[bytes | None, bytes]] = []
        for call, answer in zip(calls, answers, strict=True):
            event = inference_event(
                call, answer, workload=self.workload, release=release, base_model=self.plan.base
            )
            records.append((call.inference_id.encode(), encode(event)))
        # A quarter that was cut off sends its events again: they are duplicates and count once.
        log.append(INFERENCES_TOPIC, records)
        land(self.platform)
        return _share(a.output == c.truth for a, c in zip(answers, calls, strict=True))

    def _review(self, quarter: int) -> int:
        self.tell(f"quarter {quarter}: review")
        start, end = quarter_bounds(quarter)
        people = SimulatedAnnotators(
            self.platform.queue,
            self.truth,
            error_rate=self.plan.error_rate,
            seed=self.plan.seed,
        )
        sample_batch(
            self.platform.lake,
            self.platform.queue,
            self.workload,
            window_start=start,
            window_end=end,
            now=self.clock.now(),
            answering={self._champion()},
        )
        # Then another person judges what is in doubt, and a third decides what two disagreed on.
        for _ in range(3):
            people.answer_open(self.workload)
            collect_reviews(self.platform, self.workload)
        rows = self.platform.lake.rows(
            "select count(distinct a.annotation_id) n from latest_annotations a "
            "join review_items r using (item_id) "
            "where r.chosen_at >= $chosen and r.chosen_at < $until and not a.deleted",
            # Everything of a quarter is asked after its end, checks of older labels included.
            {"chosen": end, "until": quarter_bounds(quarter + 1)[1]},
        )
        return int(rows[0]["n"])

    def _label_at_random(self, rows: list[LabelledRow], quarter: int) -> int:
        rng = random.Random(f"random:{self.plan.seed}:{quarter}")  # noqa: S311 - reproducible
        chosen = rng.sample(rows, min(self.plan.budget, len(rows)))
        names = self.workload.taxonomy.names if self.workload.taxonomy else ()
        pairs = []
        for row in chosen:
            wrong = rng.random() < self.plan.error_rate
            pairs.append((row.text, rng.choice(names) if wrong else row.label))
        import_seed(
            self.platform.lake,
            self.workload,
            pairs,
            source_name=f"random labelling (simulated), quarter {quarter}",
            now=self.clock.now(),
        )
        return len(chosen)

    def _train(self, quarter: int) -> tuple[str, list[tuple[str, str]]]:
        state = self.platform.state
        cycle = state.cycles.open(
            self.workload,
            trigger="simulation",
            trigger_key=f"quarter:{quarter}",
            opened_by="system",
            reason=f"simulated quarter {quarter}",
            watermark=self.clock.now(),
            snapshot=self.workload.model_dump(mode="json", by_alias=True),
        )
        snapshot = assemble_dataset(self.platform, self.workload.id, cycle.name)
        labels = [(row["input"], row["completion"]) for row in read_rows(snapshot.folder, "train")]
        last = 0.0

        def progress(step: Any) -> None:
            nonlocal last
            if time.perf_counter() - last > 1:
                last = time.perf_counter()
                self.tell(
                    f"quarter {quarter}: train on {len(labels)} labels, step {step.step} of "
                    f"{step.steps}, loss {step.loss:.3f}, {step.tokens_per_second:.0f} tokens/s"
                )

        result = train_candidate(self.platform, self.workload.id, cycle.name, on_progress=progress)
        adapter = Path(state.releases.get(result.release).adapter)
        self.platform.server(self.workload).load(result.release, adapter)
        return result.release, labels

    def _close_cycles(self, quarter: int) -> None:
        # Only when its result is on disk: a quarter that is cut off before trains on where it was.
        state = self.platform.state
        ended = quarter_bounds(quarter)[1] if quarter else FIRST_QUARTER
        for cycle in state.cycles.list_open(self.workload.id):
            # It answers the next quarter, as if promoted. There is no gate whose calibration would
            # rest on control items: they are released a cycle earlier than in production.
            for release in state.releases.of(self.workload.id):
                if release.cycle == cycle.name:
                    state.releases.change(release.release, promoted_at=ended)
            state.cycles.set_status(
                self.workload.id,
                cycle.name,
                "stopped",
                "a simulation measures on its test file instead of a gate",
            )

    def _champion(self) -> str:
        releases = self.platform.state.releases.of(self.workload.id)
        if not releases:
            return BASE_RELEASE
        newest = releases[-1]
        self.platform.server(self.workload).load(newest.release, Path(newest.adapter))
        return newest.release

    def _accuracy(self, release: str) -> float:
        codec = codec_of(self.platform, self.workload)
        server = self.platform.server(self.workload)
        answers = server.answer(release, codec, [row.text for row in self.test])
        if len(answers) != len(self.test):
            raise MeasurementError("The server did not answer every test row.")
        return _share(a.output == r.label for a, r in zip(answers, self.test, strict=True))

    def _reviewed(self) -> dict[str, int]:
        rows = self.platform.lake.rows(
            "select slice, count(distinct item_id) n from review_items group by 1 order by 1"
        )
        return {row["slice"]: row["n"] for row in rows}


def _share(verdicts: Iterable[bool]) -> float:
    counted = [bool(verdict) for verdict in verdicts]
    return sum(counted) / len(counted)

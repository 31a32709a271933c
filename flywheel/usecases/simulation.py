"""Quarters of a labeled file: what the review policy buys, against random labeling.

Every quarter the model trained so far answers the traffic, people (simulated) judge within the
budget, and an adapter is trained afresh and measured on a test file that nothing else reads. No
gate stands between the quarters: the curve shows labeling, not promotion.
"""

import json
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flywheel.artifacts.arm_metrics import FieldScore
from flywheel.artifacts.snapshot import read_rows
from flywheel.clock import ManualClock
from flywheel.errors import MeasurementError
from flywheel.evaluate.field_scores import average_fields, count_fields, score_fields
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC
from flywheel.io.atomic import write_json
from flywheel.ports.model_server import BASE_RELEASE
from flywheel.ports.topics import ensure_topic
from flywheel.review.sampling.batches import sample_batch
from flywheel.settings import Settings
from flywheel.simulation.baseline import tfidf_accuracy
from flywheel.simulation.labeled import LabeledRow, split_labeled
from flywheel.simulation.stream import FIRST_QUARTER, quarter_bounds, replayed_calls
from flywheel.usecases.cycle import assemble_dataset, codec_of, open_cycle, train_candidate
from flywheel.usecases.import_seed import import_rows
from flywheel.usecases.landing import land
from flywheel.usecases.observe import collect_reviews
from flywheel.usecases.simulated_world import answer_calls, simulated_people
from flywheel.usecases.simulation_plan import QuarterResult, SimulationPlan, write_workload
from flywheel.wiring import Platform
from flywheel.workload.model import ClassificationTask, ExtractionTask

__all__ = ["simulate"]

Tell = Callable[[str], None]


def simulate(
    plan: SimulationPlan,
    train: Sequence[LabeledRow],
    test: Sequence[LabeledRow],
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
        train: list[LabeledRow],
        test: list[LabeledRow],
        home: Path,
        cache: Path,
        tell: Tell,
    ) -> None:
        self.plan, self.test, self.home, self.tell = plan, test, home, tell
        self.texts = [row.text for row in train]
        self.split = split_labeled(
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

    def play(self) -> list[QuarterResult]:
        self.tell("base model")
        self.platform.build_base(self.workload, self.texts, on_progress=self.tell)
        seed = [(row.text, row.truth) for row in self.split.seed]
        import_rows(self.platform, self.workload, seed, source_name="seed")
        results = []
        for quarter in range(self.plan.quarters + 1):
            path = self.home / "results" / f"quarter-{quarter}.json"
            if not path.exists():
                result = self._quarter(quarter)
                write_json(path, asdict(result))
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
        outputs = self._outputs(release)
        scores = self._scores(outputs)
        averages = average_fields(scores)
        return QuarterResult(
            quarter=quarter,
            judgments=judgments,
            labels=len(labels),
            traffic=len(rows),
            accuracy=_share(
                output == row.truth for output, row in zip(outputs, self.test, strict=True)
            ),
            tfidf=self._tfidf(labels),
            traffic_accuracy=traffic_accuracy,
            reviewed=self._reviewed(),
            seconds=time.perf_counter() - started,
            fields={path: score.model_dump() for path, score in scores.items()},
            field_averages=None if averages is None else averages.model_dump(),
        )

    def _send_traffic(self, rows: list[LabeledRow], quarter: int) -> float:
        self.tell(f"quarter {quarter}: {len(rows)} texts are answered")
        calls = replayed_calls(rows, quarter=quarter, seed=self.plan.seed)
        answered = answer_calls(self.platform, self.workload, calls, release=self._champion())
        log = self.platform.log
        for topic in (INFERENCES_TOPIC, FEEDBACK_TOPIC):
            ensure_topic(log, topic)
        # A quarter that was cut off sends its events again: they are duplicates and count once.
        log.append(INFERENCES_TOPIC, answered.messages)
        land(self.platform)
        return answered.accuracy

    def _review(self, quarter: int) -> int:
        self.tell(f"quarter {quarter}: review")
        start, end = quarter_bounds(quarter)
        people = simulated_people(
            self.platform,
            self.workload.id,
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

    def _label_at_random(self, rows: list[LabeledRow], quarter: int) -> int:
        rng = random.Random(f"random:{self.plan.seed}:{quarter}")  # noqa: S311 - reproducible
        chosen = rng.sample(rows, min(self.plan.budget, len(rows)))
        names = self.workload.taxonomy.names if self.workload.taxonomy else ()
        pairs = []
        for row in chosen:
            wrong = rng.random() < self.plan.error_rate and len(names) > 1
            answer = self.workload.with_label(row.truth, rng.choice(names)) if wrong else row.truth
            pairs.append((row.text, answer))
        import_rows(
            self.platform,
            self.workload,
            pairs,
            source_name=f"random labeling (simulated), quarter {quarter}",
        )
        return len(chosen)

    def _train(self, quarter: int) -> tuple[str, list[tuple[str, str]]]:
        state = self.platform.state
        cycle = open_cycle(
            self.platform,
            self.workload,
            trigger="simulation",
            trigger_key=f"quarter:{quarter}",
            reason=f"simulated quarter {quarter}",
        )
        snapshot = assemble_dataset(self.platform, cycle.ref)
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

        result = train_candidate(self.platform, cycle.ref, on_progress=progress)
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
                cycle.ref,
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

    def _tfidf(self, labels: list[tuple[str, str]]) -> float | None:
        if not isinstance(self.workload.task, ClassificationTask):
            return None  # it writes no objects
        tested = [(row.text, row.label) for row in self.test]
        return tfidf_accuracy(labels, tested, seed=self.plan.seed)

    def _scores(self, outputs: Sequence[Any]) -> dict[str, FieldScore]:
        task = self.workload.task
        if not isinstance(task, ExtractionTask):
            return {}
        pairs = zip(self.test, outputs, strict=True)
        return score_fields(
            count_fields(task.json_schema, row.truth, output, task.item_keys)
            for row, output in pairs
        )

    def _outputs(self, release: str) -> list[Any]:
        codec = codec_of(self.platform, self.workload)
        server = self.platform.server(self.workload)
        answers = server.answer(release, codec, [row.text for row in self.test])
        if len(answers) != len(self.test):
            raise MeasurementError("The server did not answer every test row.")
        return [answer.output for answer in answers]

    def _reviewed(self) -> dict[str, int]:
        rows = self.platform.lake.rows(
            "select slice, count(distinct item_id) n from review_items group by 1 order by 1"
        )
        return {row["slice"]: row["n"] for row in rows}


def _share(verdicts: Iterable[bool]) -> float:
    counted = [bool(verdict) for verdict in verdicts]
    return sum(counted) / len(counted)
